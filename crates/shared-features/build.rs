//! Without it cargo takes no notice of the build dependencies.

fn main() {}
