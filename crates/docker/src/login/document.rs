//! The content of docker's config.json: what it says of a registry, and how it is changed. Everything else in it stays.

use anyhow::{Context, bail};
use serde::Serialize as _;
use serde_json::{Map, Value};

use super::credentials::Credentials;
use image::name::Registry;

/// A config.json, or an empty one where there is none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document(Map<String, Value>);

/// Where the credentials of a registry are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// `docker-credential-NAME`
    Helper(String),
    /// The file itself, under `auths`.
    File,
}

impl Document {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self(Map::new()));
        }
        // The message of serde_json names line and column, and quotes nothing.
        let value: Value = serde_json::from_str(text).context("it is not valid JSON")?;
        let Value::Object(document) = value else { bail!("it holds no JSON object") };
        for section in ["auths", "credHelpers"] {
            if document.get(section).is_some_and(|value| !value.is_object() && !value.is_null()) {
                bail!("{section} is no JSON object in it");
            }
        }
        Ok(Self(document))
    }

    /// Indented by tabs, as docker writes it.
    pub(crate) fn text(&self) -> anyhow::Result<String> {
        let mut bytes = Vec::new();
        let indent = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, indent);
        self.0.serialize(&mut serializer).context("config.json can't be written")?;
        bytes.push(b'\n');
        String::from_utf8(bytes).context("config.json can't be written")
    }

    /// As docker decides it: a helper of the registry's own is named by the plain host, and an empty one means the file.
    pub(crate) fn keeper(&self, registry: &Registry) -> Keeper {
        let helpers = self.0.get("credHelpers").and_then(Value::as_object);
        let own = helpers.and_then(|helpers| helpers.get(registry.as_str()));
        let name = own.or_else(|| self.0.get("credsStore")).and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() { Keeper::File } else { Keeper::Helper(name.to_owned()) }
    }

    /// What stands in the file itself; the plain host wins over older ways to write it.
    pub(crate) fn find(&self, registry: &Registry) -> anyhow::Result<Option<Credentials>> {
        let Some(auths) = self.0.get("auths").and_then(Value::as_object) else { return Ok(None) };
        let exact = auths.get(registry.as_str());
        let other = || auths.iter().find(|(key, _)| host(key) == registry.as_str()).map(|(_, entry)| entry);
        let Some(auth) = exact.or_else(other).and_then(|entry| entry["auth"].as_str()) else {
            return Ok(None);
        };
        if auth.is_empty() {
            return Ok(None);
        }
        Credentials::decode(auth).map(Some).with_context(|| format!("the entry of {registry} is not usable"))
    }

    /// Puts credentials into the file.
    pub(crate) fn put(&mut self, registry: &Registry, credentials: &Credentials) {
        let auth = credentials.encode().expose().to_owned();
        self.replace(registry, serde_json::json!({ "auth": auth }));
    }

    /// Leaves the name alone, as docker does beside a credential helper: `docker logout` looks for it here. Says
    /// whether that changed anything.
    pub(crate) fn mark(&mut self, registry: &Registry) -> bool {
        let before = self.0.clone();
        self.replace(registry, serde_json::json!({}));
        self.0 != before
    }

    fn replace(&mut self, registry: &Registry, entry: Value) {
        // Under another key an older entry would go on being found.
        self.take(registry);
        let auths = self.0.entry("auths").or_insert_with(|| Value::Object(Map::new()));
        if auths.is_null() {
            *auths = Value::Object(Map::new());
        }
        if let Some(auths) = auths.as_object_mut() {
            auths.insert(registry.as_str().to_owned(), entry);
        }
    }

    /// Takes out every entry of the registry; says whether there was one.
    pub(crate) fn take(&mut self, registry: &Registry) -> bool {
        let Some(auths) = self.0.get_mut("auths").and_then(Value::as_object_mut) else { return false };
        let before = auths.len();
        auths.retain(|key, _| host(key) != registry.as_str());
        auths.len() < before
    }
}

/// Keys have been written as `https://host/v1/`, `https://host` and `host`.
fn host(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    key.split('/').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use workspace::secret::Secret;

    fn registry() -> Registry {
        Registry::parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com").unwrap()
    }

    fn credentials() -> Credentials {
        Credentials { user: "AWS".to_owned(), password: Secret::new("secret".to_owned()) }
    }

    #[test]
    fn every_other_key_stays() {
        let text = "{\"auths\":{\"other\":{\"auth\":\"b3RoZXI6cHc=\"}},\"currentContext\":\"far\",\"new\":{\"a\":[1,2.5,null]}}";
        let mut document = Document::parse(text).unwrap();
        document.put(&registry(), &credentials());
        let expected = "{\n\t\"auths\": {\n\t\t\"123456789012.dkr.ecr.eu-west-1.amazonaws.com\": {\n\t\t\t\"auth\": \
                        \"QVdTOnNlY3JldA==\"\n\t\t},\n\t\t\"other\": {\n\t\t\t\"auth\": \"b3RoZXI6cHc=\"\n\t\t}\n\t},\n\t\
                        \"currentContext\": \"far\",\n\t\"new\": {\n\t\t\"a\": [\n\t\t\t1,\n\t\t\t2.5,\n\t\t\tnull\n\t\t]\n\t}\n}\n";
        assert_eq!(document.text().unwrap(), expected);
        assert_eq!(document.find(&registry()).unwrap(), Some(credentials()));
        assert!(document.take(&registry()));
        assert!(!document.take(&registry()));
        assert_eq!(document, Document::parse(text).unwrap());
    }

    #[test]
    fn a_stale_key_does_not_shadow_the_new_one() {
        for key in ["https://HOST", "https://HOST/", "http://HOST/v2/", "HOST"] {
            let key = key.replace("HOST", registry().as_str());
            let text = format!(r#"{{"auths": {{"{key}": {{"auth": "QVdTOm9sZA=="}}}}}}"#);
            let mut document = Document::parse(&text).unwrap();
            assert_eq!(document.find(&registry()).unwrap().unwrap().password.expose(), "old", "{key}");
            document.put(&registry(), &credentials());
            assert_eq!(document.0["auths"].as_object().unwrap().len(), 1, "{key}");
            assert_eq!(document.find(&registry()).unwrap(), Some(credentials()), "{key}");
        }
    }

    #[test]
    fn the_keeper_is_the_one_docker_asks() {
        let helper = |name: &str| Keeper::Helper(name.to_owned());
        for (text, keeper) in [
            ("", Keeper::File),
            ("{}", Keeper::File),
            (r#"{"auths": null, "credsStore": ""}"#, Keeper::File),
            (r#"{"credsStore": "pass"}"#, helper("pass")),
            (r#"{"credsStore": "pass", "credHelpers": {"HOST": "ecr-login"}}"#, helper("ecr-login")),
            (r#"{"credsStore": "pass", "credHelpers": {"HOST": ""}}"#, Keeper::File),
            (r#"{"credsStore": "pass", "credHelpers": {"https://HOST": "ecr-login"}}"#, helper("pass")),
            (r#"{"credHelpers": {"elsewhere": "ecr-login"}}"#, Keeper::File),
        ] {
            let document = Document::parse(&text.replace("HOST", registry().as_str())).unwrap();
            assert_eq!(document.keeper(&registry()), keeper, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, message) in [
            ("{\"auths\": ", "it is not valid JSON"),
            ("[]", "it holds no JSON object"),
            (r#"{"auths": []}"#, "auths is no JSON object in it"),
            (r#"{"credHelpers": "pass"}"#, "credHelpers is no JSON object in it"),
        ] {
            assert_eq!(Document::parse(text).unwrap_err().to_string(), message, "{text}");
        }
        let mut marked = Document::parse("").unwrap();
        assert!(marked.mark(&registry()));
        assert!(!marked.mark(&registry()), "it stands there already");
        assert_eq!(marked.find(&registry()).unwrap(), None, "an entry without credentials is none");
    }
}
