//! What a server asks of whoever wants to log in:
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-AUTHENTICATIONOK>.

use std::io;

use crate::postgres::Method;
use crate::postgres::wire::message::nonsense;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Nothing more: we are in.
    Welcome,
    Cleartext,
    Md5([u8; 4]),
    Sasl(Vec<String>),
    SaslContinue(Vec<u8>),
    SaslFinal(Vec<u8>),
    Other(u32),
}

impl Question {
    pub(super) fn read(body: &[u8]) -> io::Result<Self> {
        let wrong = || nonsense("what it says about the login is not PostgreSQL's protocol");
        let (code, rest) = body.split_first_chunk().ok_or_else(wrong)?;
        Ok(match u32::from_be_bytes(*code) {
            0 => Self::Welcome,
            3 => Self::Cleartext,
            5 => Self::Md5(rest.try_into().map_err(|_| wrong())?),
            10 => {
                let names = rest.split(|byte| *byte == 0).take_while(|name| !name.is_empty());
                Self::Sasl(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
            }
            11 => Self::SaslContinue(rest.to_vec()),
            12 => Self::SaslFinal(rest.to_vec()),
            other => Self::Other(other),
        })
    }

    /// libpq's word for it, where it is the beginning of something.
    pub(super) fn method(&self) -> Option<Method> {
        match self {
            Self::Welcome => Some(Method::None),
            Self::Cleartext => Some(Method::Password),
            Self::Md5(_) => Some(Method::Md5),
            Self::Sasl(names) if names.iter().any(|name| name.starts_with("SCRAM-")) => Some(Method::Scram),
            Self::Sasl(names) if names.iter().any(|name| name == "OAUTHBEARER") => Some(Method::OAuth),
            Self::Other(7) => Some(Method::Gss),
            Self::Other(9) => Some(Method::Sspi),
            Self::Sasl(_) | Self::SaslContinue(_) | Self::SaslFinal(_) | Self::Other(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions() {
        let read = |body: &[u8]| Question::read(body).map_err(|error| error.to_string());
        let names = |names: &[&str]| Question::Sasl(names.iter().copied().map(str::to_owned).collect());
        for (body, question, method) in [
            (&b"\0\0\0\0"[..], Question::Welcome, Some(Method::None)),
            (b"\0\0\0\x03", Question::Cleartext, Some(Method::Password)),
            (b"\0\0\0\x05salt", Question::Md5(*b"salt"), Some(Method::Md5)),
            (b"\0\0\0\x07", Question::Other(7), Some(Method::Gss)),
            (b"\0\0\0\x09", Question::Other(9), Some(Method::Sspi)),
            (b"\0\0\0\x0aSCRAM-SHA-256\0\0", names(&["SCRAM-SHA-256"]), Some(Method::Scram)),
            (b"\0\0\0\x0aOAUTHBEARER\0\0", names(&["OAUTHBEARER"]), Some(Method::OAuth)),
            (b"\0\0\0\x0aPLAIN\0X\0\0", names(&["PLAIN", "X"]), None),
            (b"\0\0\0\x0bx", Question::SaslContinue(b"x".to_vec()), None),
            (b"\0\0\0\x0c", Question::SaslFinal(Vec::new()), None),
        ] {
            assert_eq!(question.method(), method);
            assert_eq!(read(body), Ok(question));
        }
        for body in [&b""[..], b"\0\0\0", b"\0\0\0\x05sal", b"\0\0\0\x05salty"] {
            assert!(read(body).is_err(), "{body:?}");
        }
    }
}
