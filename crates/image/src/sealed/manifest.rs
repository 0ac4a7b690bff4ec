//! Manifests, reduced to what decides how the job is built: no tests, no lints, no members that are other programs.

use std::collections::BTreeSet;

use toml::{Table, Value};

/// The profile of the image's binary.
pub(crate) const PROFILE: &str = "job";

/// Of a package, what is of no consequence to a program that is built from it.
const FOR_PEOPLE: [&str; 6] = ["badges", "bench", "dev-dependencies", "example", "lints", "test"];
/// Of a workspace.
const FOR_OTHERS: [&str; 4] = ["default-members", "exclude", "lints", "metadata"];

/// The directories of the packages that one depends on by path, for a program or a build script; relative to the root,
/// as `package` is. `workspace` is the root's manifest.
pub(super) fn path_dependencies(package: &str, manifest: &Table, workspace: &Table) -> BTreeSet<String> {
    let inherited = workspace.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let mut found = BTreeSet::new();
    for (name, dependency) in dependencies(manifest) {
        let (base, dependency) = match dependency.get("workspace") {
            Some(_) => ("", inherited.and_then(|all| all.get(name))),
            None => (package, Some(dependency)),
        };
        let path = dependency.and_then(|dependency| dependency.get("path")).and_then(Value::as_str);
        found.extend(path.and_then(|path| join(base, path)));
    }
    found
}

/// Of programs and build scripts, for all platforms.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&String, &Value)> {
    let for_target = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = for_target.filter_map(Value::as_table).chain([manifest]);
    let kinds = tables.flat_map(|table| ["dependencies", "build-dependencies"].map(|kind| table.get(kind)));
    kinds.flatten().filter_map(Value::as_table).flatten()
}

/// A path below the root, without `..`; none where it leads out.
fn join(base: &str, path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in base.split('/').chain(path.split('/')).filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop()?;
        } else {
            parts.push(part);
        }
    }
    (!path.starts_with('/')).then(|| parts.join("/"))
}

pub(super) fn reduce(manifest: &Table) -> Table {
    let mut reduced = manifest.clone();
    reduced.retain(|name, _| !FOR_PEOPLE.contains(&name));
    if let Some(package) = reduced.get_mut("package").and_then(Value::as_table_mut) {
        package.remove("metadata");
    }
    if let Some(targets) = reduced.get_mut("target").and_then(Value::as_table_mut) {
        targets.iter_mut().filter_map(|(_, target)| target.as_table_mut()).for_each(|target| {
            target.remove("dev-dependencies");
        });
        targets.retain(|_, target| target.as_table().is_none_or(|target| !target.is_empty()));
    }
    reduced.retain(|name, value| name != "target" || value.as_table().is_none_or(|table| !table.is_empty()));
    reduced
}

/// The root's manifest, whose workspace has these members and nothing that only others use.
pub(super) fn reduce_root(manifest: &Table, members: &[(&String, &Table)]) -> Table {
    let mut reduced = reduce(manifest);
    let mut used: BTreeSet<&String> = BTreeSet::new();
    for (_, member) in members {
        let inherits = |dependency: &Value| dependency.get("workspace").is_some();
        used.extend(dependencies(member).filter(|(_, it)| inherits(it)).map(|(name, _)| name));
    }
    if let Some(workspace) = reduced.get_mut("workspace").and_then(Value::as_table_mut) {
        workspace.retain(|name, _| !FOR_OTHERS.contains(&name));
        if let Some(all) = workspace.get_mut("dependencies").and_then(Value::as_table_mut) {
            all.retain(|name, _| used.iter().any(|used| used.as_str() == name));
        }
        let members = members.iter().filter(|(path, _)| !path.is_empty());
        let members = members.map(|(path, _)| Value::String((*path).clone())).collect();
        workspace.insert("members".to_owned(), Value::Array(members));
    }
    if let Some(profiles) = reduced.get_mut("profile").and_then(Value::as_table_mut) {
        let kept = inherited(profiles);
        profiles.retain(|name, _| kept.contains(&name.to_owned()));
    }
    reduced
}

/// The profile, and those it is made from.
fn inherited(profiles: &Table) -> Vec<String> {
    let mut chain = vec![PROFILE.to_owned()];
    while let Some(parent) = chain.last().and_then(|last| profiles.get(last)?.get("inherits")?.as_str())
        && !chain.iter().any(|known| known == parent)
    {
        chain.push(parent.to_owned());
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    const ROOT: &str = "
        [workspace]
        members = ['xtask', 'crates/a', 'crates/b']
        default-members = ['.']
        [workspace.lints.rust]
        unsafe_code = 'forbid'
        [workspace.dependencies]
        b = { path = 'crates/b' }
        serde = '1'
        kube = '5'
        [package]
        name = 'run-migrations'
        [lints]
        workspace = true
        [dependencies]
        a = { path = 'crates/a' }
        serde.workspace = true
        [target.'cfg(unix)'.dev-dependencies]
        c = { path = 'crates/c' }
        [dev-dependencies]
        d = { path = 'crates/d' }
        [profile.dev]
        debug = false
        [profile.release]
        debug = true
        [profile.job]
        inherits = 'release'
        opt-level = 'z'
    ";

    #[test]
    fn packages_are_found_by_their_paths() {
        let root = table(ROOT);
        assert_eq!(path_dependencies("", &root, &root), BTreeSet::from(["crates/a".to_owned()]));
        for (manifest, expected) in [
            ("[dependencies]\nb.workspace = true", vec!["crates/b"]),
            ("[build-dependencies]\nx = { path = '../b' }", vec!["crates/b"]),
            ("[target.'cfg(unix)'.dependencies]\nx = { path = './../../y' }", vec!["y"]),
            ("[dependencies]\nx = { path = '../../../out' }\ny = '1'\nz = { path = '/abs' }", vec![]),
            ("[dev-dependencies]\nx = { path = '../b' }", vec![]),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(path_dependencies("crates/a", &table(manifest), &root), expected, "{manifest}");
        }
    }

    #[test]
    fn what_is_for_others_is_left_out_and_everything_else_stays() {
        let root = table(ROOT);
        let (path, a) = ("crates/a".to_owned(), table("[dependencies]\nb.workspace = true"));
        let reduced = reduce_root(&root, &[(&String::new(), &root), (&path, &a)]);
        let expected = "
            [workspace]
            members = ['crates/a']
            [workspace.dependencies]
            b = { path = 'crates/b' }
            serde = '1'
            [package]
            name = 'run-migrations'
            [dependencies]
            a = { path = 'crates/a' }
            serde.workspace = true
            [profile.release]
            debug = true
            [profile.job]
            inherits = 'release'
            opt-level = 'z'
        ";
        assert_eq!(reduced, table(expected));
    }
}
