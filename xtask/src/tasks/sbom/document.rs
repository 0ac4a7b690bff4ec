//! From what an image is made of to an SPDX document. <https://spdx.github.io/spdx-spec/v2.3/>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::runtime::RuntimePart;
use image::name::Digest;
use image::reference::PinnedReference;
use image::sealed::closure::{Closure, Crate};

const IMAGE: &str = "SPDXRef-image";
const BINARY: &str = "SPDXRef-binary";

/// What the document describes.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) commit: String,
    /// Of the commit, in UTC.
    pub(super) time: String,
    /// Address of the repository, where it is a public one.
    pub(super) repository: Option<String>,
}

/// What an image is made of.
#[derive(Debug)]
pub(super) struct Bill<'a> {
    pub(super) origin: Origin,
    /// Where it is kept, once that is known.
    pub(super) image: Option<&'a PinnedReference>,
    pub(super) binary: Digest,
    /// What they are, and what they unpack to.
    pub(super) layers: Vec<(&'static str, Digest)>,
    pub(super) closure: &'a Closure,
    /// By name and version, of crates that are downloaded.
    pub(super) checksums: BTreeMap<(String, String), String>,
    pub(super) runtime: Vec<RuntimePart>,
}

/// The name of the job's own package.
pub(super) const ROOT: &str = image::binary::JOB;

pub(super) fn write(bill: &Bill<'_>) -> Value {
    let (mut packages, mut relationships) = (vec![image(bill)], Vec::new());
    let mut relate = |from: &str, kind: &str, to: &str| {
        relationships
            .push(json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to}));
    };
    relate("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE);
    for (name, digest) in &bill.layers {
        let id = format!("SPDXRef-layer-{name}");
        packages.push(described(
            &id,
            &format!("layer: {name}"),
            "ARCHIVE",
            json!({"checksums": [sha256(digest)]}),
        ));
        relate(IMAGE, "CONTAINS", &id);
    }
    let more = json!({"packageFileName": "run-migrations", "versionInfo": bill.origin.commit, "checksums": [sha256(&bill.binary)]});
    packages.push(described(BINARY, ROOT, "APPLICATION", more));
    relate("SPDXRef-layer-binary", "CONTAINS", BINARY);
    for one in &bill.closure.crates {
        let id = reference(&one.name, &one.version);
        packages.push(library(one, &id, bill));
        relate(BINARY, if one.name == ROOT { "GENERATED_FROM" } else { "STATIC_LINK" }, &id);
    }
    for [from, to] in &bill.closure.needs {
        relate(&reference(&from.0, &from.1), "DEPENDS_ON", &reference(&to.0, &to.1));
    }
    for part in &bill.runtime {
        let id = reference(part.name, &part.version);
        packages.push(runtime(part, &id));
        relate(BINARY, "STATIC_LINK", &id);
    }
    let content = Digest::of(json!([packages, relationships]).to_string().as_bytes());
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": ROOT,
        // A name, not an address: it has to be another one for other content.
        "documentNamespace": format!("https://spdx.org/spdxdocs/{ROOT}-{}", content.encoded()),
        "creationInfo": {"created": bill.origin.time, "creators": ["Tool: cargo xtask sbom"]},
        "packages": packages,
        "relationships": relationships,
    })
}

fn image(bill: &Bill<'_>) -> Value {
    let mut more = json!({"versionInfo": bill.origin.commit, "licenseDeclared": "MIT"});
    if let Some(image) = bill.image {
        more["checksums"] = json!([sha256(&image.digest)]);
        let repository = image.name.repository.as_str();
        let place = image
            .name
            .registry
            .as_ref()
            .map(|registry| format!("?repository_url={}/{repository}", registry.as_str()));
        let name = repository.rsplit('/').next().unwrap_or(repository);
        let digest = image.digest.as_str().replace(':', "%3A");
        more["externalRefs"] = purl(&format!("pkg:oci/{name}@{digest}{}", place.unwrap_or_default()));
    }
    described(IMAGE, &format!("image of {ROOT}"), "CONTAINER", more)
}

fn library(one: &Crate, id: &str, bill: &Bill<'_>) -> Value {
    let Crate { name, version, licence, .. } = one;
    // Before 2015 alternatives were written with a slash.
    let licence = licence.as_ref().map_or_else(|| "NOASSERTION".to_owned(), |text| text.replace('/', " OR "));
    let mut more = json!({"versionInfo": version, "licenseDeclared": licence});
    if let Some(checksum) = bill.checksums.get(&(name.clone(), version.clone())) {
        // What stands behind a plus sign is no part of a file's name that may stay as it is.
        more["downloadLocation"] = json!(format!(
            "https://static.crates.io/crates/{name}/{name}-{}.crate",
            version.replace('+', "%2B")
        ));
        more["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": checksum}]);
        more["externalRefs"] = purl(&format!("pkg:cargo/{name}@{}", version.replace('+', "%2B")));
    } else {
        more["versionInfo"] = json!(bill.origin.commit);
        if let Some(repository) = &bill.origin.repository {
            more["downloadLocation"] = json!(format!("git+{repository}@{}", bill.origin.commit));
        }
    }
    described(id, name, if name == ROOT { "SOURCE" } else { "LIBRARY" }, more)
}

fn runtime(part: &RuntimePart, id: &str) -> Value {
    let mut more = json!({
        "versionInfo": part.version,
        "licenseDeclared": part.licence,
        "downloadLocation": part.location,
        "packageFileName": part.file,
        "comment": part.says,
        "externalRefs": purl(&format!("pkg:generic/{}@{}", part.name, part.version)),
    });
    if let Some(digest) = &part.digest {
        more["checksums"] = json!([sha256(digest)]);
    }
    described(id, part.name, "LIBRARY", more)
}

/// A package, with what SPDX asks of each.
fn described(id: &str, name: &str, purpose: &str, more: Value) -> Value {
    let mut package = json!({
        "name": name,
        "SPDXID": id,
        "primaryPackagePurpose": purpose,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    });
    if let (Some(package), Value::Object(more)) = (package.as_object_mut(), more) {
        package.extend(more);
    }
    package
}

fn purl(locator: &str) -> Value {
    json!([{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}])
}

fn sha256(digest: &Digest) -> Value {
    json!({"algorithm": "SHA256", "checksumValue": digest.encoded()})
}

/// SPDX takes letters, digits, dots and dashes; what else a version may hold is told apart by its number.
fn reference(name: &str, version: &str) -> String {
    let safe = |c: char| match c {
        c if c.is_ascii_alphanumeric() || ".-".contains(c) => c.to_string(),
        '_' => "-".to_owned(),
        other => format!("-x{:x}-", u32::from(other)),
    };
    format!("SPDXRef-crate-{}", format!("{name}-{version}").chars().map(safe).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, version: &str) -> Crate {
        Crate {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: Some("MIT/Apache-2.0".to_owned()),
            features: String::new(),
        }
    }

    #[test]
    fn an_image_contains_a_binary_that_is_made_of_crates_and_more() {
        let key = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let closure = Closure {
            crates: [one("a", "1.0.0"), one(ROOT, "0.0.0")].into(),
            needs: [[key(ROOT, "0.0.0"), key("a", "1.0.0")]].into(),
        };
        let digest = Digest::of(b"image");
        let image = PinnedReference::parse(&format!("registry.example:5000/team/job@{digest}")).unwrap();
        let part = RuntimePart {
            name: "glibc",
            version: "2.36".to_owned(),
            licence: "LGPL-2.1-or-later",
            location: "https://ftp.gnu.org/gnu/glibc/".to_owned(),
            file: "libc.a".to_owned(),
            digest: Some(Digest::of(b"libc")),
            says: "GNU C Library".to_owned(),
        };
        let bill = Bill {
            origin: Origin {
                commit: "c0ffee".to_owned(),
                time: "2026-11-23T00:00:00Z".to_owned(),
                repository: Some("https://github.com/site/job".to_owned()),
            },
            image: Some(&image),
            binary: Digest::of(b"binary"),
            layers: vec![("binary", Digest::of(b"1")), ("migrations", Digest::of(b"2"))],
            closure: &closure,
            checksums: [(key("a", "1.0.0"), "00ff".to_owned())].into(),
            runtime: vec![part],
        };
        let document = write(&bill);
        let packages = document["packages"].as_array().unwrap();
        let find = |id: &str| packages.iter().find(|one| one["SPDXID"] == id).unwrap();
        let sum = |id: &str| find(id)["checksums"][0]["checksumValue"].as_str().unwrap().to_owned();
        assert_eq!(sum("SPDXRef-image"), digest.encoded());
        assert_eq!(sum("SPDXRef-binary"), Digest::of(b"binary").encoded());
        assert_eq!(sum("SPDXRef-layer-migrations"), Digest::of(b"2").encoded());
        assert_eq!(sum("SPDXRef-crate-a-1.0.0"), "00ff");
        assert_eq!(sum("SPDXRef-crate-glibc-2.36"), Digest::of(b"libc").encoded());
        let a = find("SPDXRef-crate-a-1.0.0");
        assert_eq!(a["licenseDeclared"], "MIT OR Apache-2.0");
        assert_eq!(a["externalRefs"][0]["referenceLocator"], "pkg:cargo/a@1.0.0");
        let source = find("SPDXRef-crate-run-migrations-0.0.0");
        assert_eq!(source["downloadLocation"], "git+https://github.com/site/job@c0ffee");
        let purl = format!(
            "pkg:oci/job@sha256%3A{}?repository_url=registry.example:5000/team/job",
            digest.encoded()
        );
        assert_eq!(find("SPDXRef-image")["externalRefs"][0]["referenceLocator"], purl);
        let related: Vec<_> = document["relationships"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                format!("{} {} {}", one["spdxElementId"], one["relationshipType"], one["relatedSpdxElement"])
                    .replace(['"'], "")
                    .replace("SPDXRef-", "")
            })
            .collect();
        assert_eq!(
            related,
            [
                "DOCUMENT DESCRIBES image",
                "image CONTAINS layer-binary",
                "image CONTAINS layer-migrations",
                "layer-binary CONTAINS binary",
                "binary STATIC_LINK crate-a-1.0.0",
                "binary GENERATED_FROM crate-run-migrations-0.0.0",
                "crate-run-migrations-0.0.0 DEPENDS_ON crate-a-1.0.0",
                "binary STATIC_LINK crate-glibc-2.36",
            ]
        );
        assert_eq!(document, write(&bill));
    }

    #[test]
    fn no_two_versions_have_one_reference() {
        assert_eq!(reference("a_b", "1.0.0+x.1"), "SPDXRef-crate-a-b-1.0.0-x2b-x.1");
        assert_ne!(reference("a", "1.0.0+x"), reference("a", "1.0.0-x"));
    }
}
