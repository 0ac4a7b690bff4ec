//! Settings that are wrong: all of them are told before anything is done.

use crate::support::run;
use crate::support::tree::Tree;

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let tree = Tree::copy();
    let file = "platform: linux/amd46\necr:\n  regio: eu-west-1\n  keep_releases: 0\n";
    std::fs::write(tree.root().join("xtask/release.yaml"), file).unwrap();
    // nobody listens there, and nobody is asked
    for words in ["push-image --dry-run", "ecr-login", "images"] {
        let mut command = tree.xtask(&format!("{words} --account 12"), "127.0.0.1:9");
        run(command.env("AWS_REGION", "Ireland")).failed(&[
            "5 settings are wrong",
            "  xtask/release.yaml, line 3 column 3: unknown key `regio`, expected one of region, account",
            "  xtask/release.yaml, line 1 column 11: platform \"linux/amd46\" is not supported; use linux/amd64",
            "  --account: account \"12\" is not one; it is twelve digits",
            "  AWS_REGION: region \"Ireland\" is not one; it is a name such as eu-west-1",
            "  xtask/release.yaml, line 4 column 18: keep_releases is 0; use 1 to 600",
        ]);
    }
    std::fs::write(tree.root().join("xtask/release.yaml"), "ecr: [\n").unwrap();
    run(&mut tree.xtask("images", "127.0.0.1:9"))
        .failed(&["xtask/release.yaml is not valid", "at line 2 column 1"]);
}
