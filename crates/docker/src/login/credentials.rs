//! Who we are to a registry.

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use image::name::Registry;
use workspace::secret::Secret;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: Secret,
}

impl Credentials {
    /// Base64 of `user:password`, as config.json and ECR write it. Of what is wrong nothing is quoted.
    pub fn decode(text: &str) -> anyhow::Result<Self> {
        let bytes = STANDARD.decode(text.trim()).ok().context("it is not base64")?;
        // docker itself pads with NUL bytes.
        let text = String::from_utf8(bytes).ok().context("it is not UTF-8")?;
        match text.trim_matches('\0').split_once(':') {
            Some((user, password)) if !user.is_empty() && !password.is_empty() => {
                Ok(Self { user: user.to_owned(), password: Secret::new(password.to_owned()) })
            }
            _ => bail!("it is not user:password"),
        }
    }

    pub fn encode(&self) -> Secret {
        Secret::new(STANDARD.encode(format!("{}:{}", self.user, self.password.expose())))
    }

    /// The daemon's `X-Registry-Auth`. It wants the URL-safe alphabet.
    pub fn header(&self, registry: &Registry) -> Secret {
        let json = serde_json::json!({
            "username": self.user,
            "password": self.password.expose(),
            "serveraddress": registry.as_str(),
        });
        Secret::new(URL_SAFE.encode(json.to_string()))
    }

    /// The registry's own `Authorization`.
    pub fn basic(&self) -> Secret {
        Secret::new(format!("Basic {}", self.encode().expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_split_at_the_first_colon() {
        let decoded = |text: &str| {
            Credentials::decode(&STANDARD.encode(text))
                .map(|found| (found.user, found.password.expose().to_owned()))
                .ok()
        };
        for (text, expected) in [
            ("AWS:pass", Some(("AWS", "pass"))),
            ("AWS:pa:ss", Some(("AWS", "pa:ss"))),
            ("AWS:pass\0\0", Some(("AWS", "pass"))),
            ("AWS:", None),
            (":pass", None),
            ("AWS", None),
        ] {
            let expected = expected.map(|(user, password)| (user.to_owned(), password.to_owned()));
            assert_eq!(decoded(text), expected, "{text}");
        }
        let error = Credentials::decode("hunter2!").unwrap_err();
        assert!(!format!("{error:#}").contains("hunter2"), "{error:#}");
    }

    #[test]
    fn the_daemons_header_is_url_safe() {
        // these give + and / in the usual alphabet
        let credentials =
            Credentials { user: "AWS".to_owned(), password: Secret::new("~~~???>>>".to_owned()) };
        let registry = Registry::parse("localhost").unwrap();
        let header = credentials.header(&registry);
        assert!(!header.expose().contains(['+', '/']), "{}", header.expose());
        let json: serde_json::Value =
            serde_json::from_slice(&URL_SAFE.decode(header.expose()).unwrap()).unwrap();
        assert_eq!(json["password"], "~~~???>>>");
        assert_eq!(json["serveraddress"], "localhost");
        let back = Credentials::decode(credentials.encode().expose()).unwrap();
        assert_eq!(back, credentials);
    }
}
