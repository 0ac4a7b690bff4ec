//! libpq's `require_auth`: by which methods the server may ask the job to log in.

use std::fmt;

/// What a server may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Password,
    Md5,
    /// Proof of knowing the password, which works both ways.
    Scram,
    Gss,
    /// Kerberos on Windows.
    Sspi,
    /// A token of an identity provider.
    OAuth,
    /// Nothing: trust, peer, or a client certificate.
    None,
}

const WORDS: [(&str, Method); 7] = [
    ("password", Method::Password),
    ("md5", Method::Md5),
    ("scram-sha-256", Method::Scram),
    ("gss", Method::Gss),
    ("sspi", Method::Sspi),
    ("oauth", Method::OAuth),
    ("none", Method::None),
];

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.iter().find(|(_, method)| method == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

/// A list of methods: all that are allowed, or all that are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequireAuth {
    methods: Vec<Method>,
    are_forbidden: bool,
}

impl RequireAuth {
    /// Reads a comma-separated list of words, of which all or none have a `!` in front.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut methods = Vec::new();
        let are_forbidden = text.trim_start().starts_with('!');
        for word in text.split(',').map(str::trim) {
            let (is_negated, name) = word.strip_prefix('!').map_or((false, word), |name| (true, name));
            let Some((_, method)) = WORDS.iter().find(|(known, _)| *known == name) else {
                let known = WORDS.map(|(word, _)| word).join(", ");
                return Err(format!("{word:?} is not one of {known}, or one of them with ! in front"));
            };
            if is_negated != are_forbidden {
                return Err(
                    "mixes methods with and without !; the list says either what is allowed or what is not"
                        .to_owned(),
                );
            }
            if methods.contains(method) {
                return Err(format!("names {method} twice"));
            }
            methods.push(*method);
        }
        Ok(Self { methods, are_forbidden })
    }

    /// What to do so that the server may ask for this.
    pub(crate) fn to_allow(&self, method: Method) -> String {
        if self.are_forbidden { format!("take !{method} out of it") } else { format!("add {method} to it") }
    }

    pub(crate) fn allows(&self, method: Method) -> bool {
        self.methods.contains(&method) != self.are_forbidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_allow_or_forbid() {
        use Method::{Gss, Md5, None, Password, Scram};
        for (text, allowed, forbidden) in [
            ("scram-sha-256", &[Scram][..], &[Password, Md5, None][..]),
            ("md5, scram-sha-256", &[Md5, Scram], &[Password, Gss, None]),
            ("!password", &[Md5, Scram, None], &[Password]),
            ("!password,!md5", &[Scram, Gss, None], &[Password, Md5]),
            ("!none", &[Password, Md5, Scram], &[None]),
            ("none", &[None], &[Password, Md5, Scram, Gss]),
        ] {
            let rules = RequireAuth::parse(text).unwrap();
            assert!(allowed.iter().all(|method| rules.allows(*method)), "{text}");
            assert!(!forbidden.iter().any(|method| rules.allows(*method)), "{text}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (text, problem) in [
            ("scram", "\"scram\" is not one of password, md5, scram-sha-256, gss, sspi, oauth, none, or one"),
            ("md5,", "\"\" is not one of "),
            ("!!md5", "\"!!md5\" is not one of "),
            ("md5,!none", "mixes methods with and without !"),
            ("!md5,none", "mixes methods with and without !"),
            ("md5,md5", "names md5 twice"),
        ] {
            let error = RequireAuth::parse(text).unwrap_err();
            assert!(error.starts_with(problem), "{text}: {error}");
        }
    }
}
