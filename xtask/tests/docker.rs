//! What needs a Docker daemon, with the real `xtask` and the real image.
