//! From cargo's metadata to an SPDX document: the crates that are reached from the job by ordinary dependencies.
//! <https://spdx.github.io/spdx-spec/v2.3/>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::image::name::Digest;

const ROOT: &str = "run-migrations";

/// What the document describes.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) commit: String,
    /// Of the commit, in UTC.
    pub(super) time: String,
}

/// None where the metadata are not of the shape that cargo documents.
pub(super) fn write(metadata: &Value, lock: &str, origin: &Origin) -> Option<Value> {
    let packages: BTreeMap<&str, &Value> = metadata["packages"]
        .as_array()?
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let root = *packages.iter().find(|(_, package)| package["name"] == ROOT)?.0;
    let edges = edges(metadata)?;
    let reached = reached(root, &edges);
    let checksums = checksums(lock);
    let described: Vec<Value> =
        reached.iter().map(|id| describe(packages.get(id)?, &checksums, origin)).collect::<Option<_>>()?;
    let mut relationships =
        vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", &reference(packages.get(root)?)?)];
    for (from, to) in edges.iter().filter(|(from, _)| reached.contains(from)) {
        let (from, to) = (reference(packages.get(from)?)?, reference(packages.get(to)?)?);
        relationships.push(relationship(&from, "DEPENDS_ON", &to));
    }
    let content = Digest::of(json!([described, relationships]).to_string().as_bytes());
    let content = content.as_str().trim_start_matches("sha256:");
    Some(json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": ROOT,
        // A name, not an address: it has to be another one for other content.
        "documentNamespace": format!("https://spdx.org/spdxdocs/{ROOT}-{content}"),
        "creationInfo": {"created": origin.time, "creators": ["Tool: cargo xtask sbom"]},
        "packages": described,
        "relationships": relationships,
    }))
}

/// Who needs whom at run time: neither build scripts nor tests end up in the binary.
fn edges(metadata: &Value) -> Option<BTreeSet<(&str, &str)>> {
    let mut edges = BTreeSet::new();
    for node in metadata["resolve"]["nodes"].as_array()? {
        for dependency in node["deps"].as_array()? {
            if dependency["dep_kinds"].as_array()?.iter().any(|kind| kind["kind"].is_null()) {
                edges.insert((node["id"].as_str()?, dependency["pkg"].as_str()?));
            }
        }
    }
    Some(edges)
}

fn reached<'a>(root: &'a str, edges: &BTreeSet<(&'a str, &'a str)>) -> BTreeSet<&'a str> {
    let (mut reached, mut next) = (BTreeSet::from([root]), vec![root]);
    while let Some(from) = next.pop() {
        let new = edges.iter().filter(|(source, _)| *source == from).map(|(_, to)| *to);
        next.extend(new.filter(|to| reached.insert(to)));
    }
    reached
}

/// By name and version.
fn checksums(lock: &str) -> BTreeMap<(&str, &str), &str> {
    let field = |block: &'_ str, name: &str| -> Option<(usize, usize)> {
        let start = block.find(&format!("\n{name} = \""))? + name.len() + 5;
        Some((start, start + block.get(start..)?.find('"')?))
    };
    let blocks = lock.split("[[package]]").skip(1).filter_map(|block| {
        let value = |name| field(block, name).and_then(|(start, end)| block.get(start..end));
        Some(((value("name")?, value("version")?), value("checksum")?))
    });
    blocks.collect()
}

fn reference(package: &Value) -> Option<String> {
    let name = format!("{}-{}", package["name"].as_str()?, package["version"].as_str()?);
    let safe = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '-' };
    Some(format!("SPDXRef-{}", name.chars().map(safe).collect::<String>()))
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

fn describe(package: &Value, checksums: &BTreeMap<(&str, &str), &str>, origin: &Origin) -> Option<Value> {
    let (name, version) = (package["name"].as_str()?, package["version"].as_str()?);
    // Before 2015 alternatives were written with a slash.
    let licence =
        package["license"].as_str().map_or("NOASSERTION".to_owned(), |text| text.replace('/', " OR "));
    let mut described = json!({
        "name": name,
        "SPDXID": reference(package)?,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
    });
    if let Some(checksum) = checksums.get(&(name, version)) {
        let purl = format!("pkg:cargo/{name}@{version}");
        described["downloadLocation"] =
            json!(format!("https://static.crates.io/crates/{name}/{name}-{version}.crate"));
        described["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": checksum}]);
        described["externalRefs"] = json!([{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl,
        }]);
    } else {
        described["versionInfo"] = json!(origin.commit);
    }
    Some(described)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_listed_and_nothing_else() {
        let package = |name: &str, license: Option<&str>| json!({"id": format!("id-{name}"), "name": name, "version": "1.0.0", "license": license});
        let needs =
            |to: &str, kind: Option<&str>| json!({"pkg": format!("id-{to}"), "dep_kinds": [{"kind": kind}]});
        let node = |name: &str, deps: Vec<Value>| json!({"id": format!("id-{name}"), "deps": deps});
        let metadata = json!({
            "packages": [package(ROOT, Some("MIT")), package("a", Some("MIT/Apache-2.0")), package("b", None),
                         package("test", Some("MIT")), package("xtask", Some("MIT"))],
            "resolve": {"nodes": [
                node(ROOT, vec![needs("a", None), needs("test", Some("dev"))]),
                node("a", vec![needs("b", None)]),
                node("b", vec![]),
                node("xtask", vec![needs("a", None)]),
            ]},
        });
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"00ff\"\n";
        let origin = Origin { commit: "c0ffee".to_owned(), time: "2026-11-23T00:00:00Z".to_owned() };
        let document = write(&metadata, lock, &origin).unwrap();
        let listed: Vec<_> =
            document["packages"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(listed, ["a", "b", ROOT]);
        let a = &document["packages"][0];
        assert_eq!(a["licenseDeclared"], "MIT OR Apache-2.0");
        assert_eq!(a["checksums"][0]["checksumValue"], "00ff");
        assert_eq!(document["packages"][2]["versionInfo"], "c0ffee");
        let related: Vec<_> = document["relationships"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                format!("{} {} {}", one["spdxElementId"], one["relationshipType"], one["relatedSpdxElement"])
                    .replace('"', "")
            })
            .collect();
        assert_eq!(
            related,
            [
                "SPDXRef-DOCUMENT DESCRIBES SPDXRef-run-migrations-1.0.0",
                "SPDXRef-a-1.0.0 DEPENDS_ON SPDXRef-b-1.0.0",
                "SPDXRef-run-migrations-1.0.0 DEPENDS_ON SPDXRef-a-1.0.0",
            ]
        );
        assert_eq!(document, write(&metadata, lock, &origin).unwrap());
    }
}
