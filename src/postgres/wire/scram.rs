//! SCRAM-SHA-256 (RFC 5802, RFC 7677), by which both sides prove that they know the password, and neither says it.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{digest, hmac, pbkdf2};

use crate::postgres::DatabaseError;
use crate::postgres::secret::password::Password;

/// PostgreSQL's default is 4,096. A server decides how long we calculate: with this many it is about a second.
const MOST_ROUNDS: u32 = 1_000_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    To(Vec<u8>),
    /// Nothing, though we could: a server that had offered it then knows that it was struck out on the way.
    NotOffered,
    Unsupported,
}

impl Binding {
    fn header(&self) -> &'static str {
        match self {
            Self::To(_) => "p=tls-server-end-point,,",
            Self::NotOffered => "y,,",
            Self::Unsupported => "n,,",
        }
    }

    fn data(&self) -> &[u8] {
        match self {
            Self::To(end_point) => end_point,
            Self::NotOffered | Self::Unsupported => &[],
        }
    }
}

/// Our side of it, which has said how it begins.
pub(super) struct Scram {
    binding: Binding,
    nonce: String,
}

/// What the server has to say last.
pub(super) struct ServerProof {
    key: hmac::Key,
    exchange: String,
}

impl Scram {
    pub(super) fn begin(binding: Binding) -> Result<Self, String> {
        let mut random = [0; 18];
        SystemRandom::new().fill(&mut random).map_err(|_| "the system has no random numbers".to_owned())?;
        Ok(Self { binding, nonce: BASE64.encode(random) })
    }

    pub(super) fn is_bound(&self) -> bool {
        matches!(self.binding, Binding::To(_))
    }

    /// What we say first. The server takes the role's name from what began the session.
    pub(super) fn first(&self) -> String {
        format!("{}{}", self.binding.header(), self.first_bare())
    }

    fn first_bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// Our proof, after what the server said first. The rounds run on a thread of their own, so that limits and signals
    /// are heeded meanwhile.
    pub(super) async fn prove(
        &self,
        password: &Password,
        said: &[u8],
    ) -> Result<(String, ServerProof), DatabaseError> {
        let wrong = || DatabaseError::distrust("what the server says is not SCRAM");
        let said = std::str::from_utf8(said).map_err(|_| wrong())?;
        let mut attributes = said.split(',');
        let mut attribute =
            |name| attributes.next().and_then(|text| text.strip_prefix(name)).ok_or_else(wrong);
        let (nonce, salt, rounds) = (attribute("r=")?, attribute("s=")?, attribute("i=")?);
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(DatabaseError::distrust("the server's answer does not belong to this login"));
        }
        let salt = BASE64.decode(salt).map_err(|_| wrong())?;
        let rounds = number(rounds).ok_or_else(wrong)?;
        if rounds.get() > MOST_ROUNDS {
            return Err(DatabaseError::Cut(format!(
                "it asks for more than {MOST_ROUNDS} rounds on the password"
            )));
        }
        let salted = salted(prepared(password), salt, rounds).await?;

        let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let server_key = hmac::sign(&salted, b"Server Key");

        let binding = BASE64.encode([self.binding.header().as_bytes(), self.binding.data()].concat());
        let without_proof = format!("c={binding},r={nonce}");
        let exchange = format!("{},{said},{without_proof}", self.first_bare());
        let signature =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, stored_key.as_ref()), exchange.as_bytes());
        let proof: Vec<_> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let key = hmac::Key::new(hmac::HMAC_SHA256, server_key.as_ref());
        Ok((format!("{without_proof},p={}", BASE64.encode(proof)), ServerProof { key, exchange }))
    }
}

impl ServerProof {
    pub(super) fn is_given_by(&self, said: &[u8]) -> bool {
        let said = said.split(|byte| *byte == b',').next().unwrap_or_default();
        let signature = said.strip_prefix(b"v=").and_then(|signature| BASE64.decode(signature).ok());
        signature
            .is_some_and(|signature| hmac::verify(&self.key, self.exchange.as_bytes(), &signature).is_ok())
    }
}

/// RFC 5802's `posit-number`: digits alone, where Rust would take a sign as well. What is too large for the type is the
/// largest.
fn number(text: &str) -> Option<NonZeroU32> {
    let is_number =
        text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') && !text.is_empty();
    is_number.then(|| text.parse().unwrap_or(NonZeroU32::MAX))
}

async fn salted(
    password: Vec<u8>,
    salt: Vec<u8>,
    rounds: NonZeroU32,
) -> Result<[u8; digest::SHA256_OUTPUT_LEN], DatabaseError> {
    let calculating = tokio::task::spawn_blocking(move || {
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, &password, &mut salted);
        salted
    });
    calculating
        .await
        .map_err(|error| DatabaseError::Cut(format!("the proof of the password was not calculated: {error}")))
}

/// As libpq does it: a password that SASLprep (RFC 4013) forbids, or leaves nothing of, is taken as it is.
fn prepared(password: &Password) -> Vec<u8> {
    match stringprep::saslprep(password.reveal()) {
        Ok(prepared) if !prepared.is_empty() => prepared.as_bytes().to_vec(),
        _ => password.reveal().as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3, with the user name that PostgreSQL leaves out.
    #[tokio::test]
    async fn the_exchange_of_the_specification() {
        let password = Password::new("pencil".to_owned());
        let server =
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let scram = Scram { binding: Binding::Unsupported, nonce: "rOprNGfwEbeRWgbNEkqO".to_owned() };
        assert_eq!(scram.first(), "n,,n=,r=rOprNGfwEbeRWgbNEkqO");
        let (said, proof) = scram.prove(&password, server).await.unwrap();
        // As computed by Python's hashlib and hmac for an empty name.
        assert_eq!(
            said,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k="
        );
        assert!(proof.is_given_by(b"v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg="));
        assert!(
            !proof.is_given_by(b"v=AAAA") && !proof.is_given_by(b"e=other-error") && !proof.is_given_by(b"")
        );
    }

    #[tokio::test]
    async fn what_is_no_answer_to_ours_is_refused() {
        let scram = Scram { binding: Binding::NotOffered, nonce: "abc".to_owned() };
        assert_eq!(scram.first(), "y,,n=,r=abc");
        let password = Password::new("x".to_owned());
        for said in [
            &b"r=abc,s=AAAA,i=1"[..],
            b"r=xbcd,s=AAAA,i=1",
            b"r=abcd,s=A,i=1",
            b"r=abcd,s=AAAA,i=0",
            b"r=abcd,s=AAAA,i=",
            b"r=abcd,s=AAAA,i=+1",
            b"r=abcd,s=AAAA,i=+4294967295",
            b"r=abcd,s=AAAA,i=-1",
            b"r=abcd,s=AAAA,i= 1",
            b"r=abcd,s=AAAA,i=01",
            "r=abcd,s=AAAA,i=\u{661}".as_bytes(),
            b"s=AAAA,r=abcd,i=1",
            b"r=abcd",
            b"\xff",
            b"",
        ] {
            let error = scram.prove(&password, said).await.err().unwrap();
            assert!(matches!(error, DatabaseError::Distrust(_)), "{said:?}: {error}");
        }
        assert!(scram.prove(&password, b"r=abcd,s=AAAA,i=1").await.is_ok());
    }

    /// One rule counted the rounds and another one read them: what the first did not take for a number had no limit.
    #[tokio::test]
    async fn rounds_have_a_limit() {
        let scram = Scram { binding: Binding::NotOffered, nonce: "abc".to_owned() };
        let password = Password::new("x".to_owned());
        for (rounds, expected) in [
            ("1000000", true),
            ("1000001", false),
            ("4294967295", false),
            ("4294967296", false),
            ("99999999999999999999", false),
        ] {
            let said = format!("r=abcd,s=AAAA,i={rounds}");
            match scram.prove(&password, said.as_bytes()).await {
                Ok(_) => assert!(expected, "{rounds}"),
                Err(error) => {
                    assert!(!expected && error.to_string().contains("1000000 rounds"), "{rounds}: {error}");
                }
            }
        }
    }

    /// The one thread of the job calculated: no limit and no signal could end it.
    #[tokio::test]
    async fn rounds_leave_time_for_others() {
        let scram = Scram { binding: Binding::NotOffered, nonce: "abc".to_owned() };
        let password = Password::new("x".to_owned());
        let proving = scram.prove(&password, b"r=abcd,s=AAAA,i=1000000");
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), proving).await.is_err());
    }

    #[test]
    fn passwords_are_prepared_where_that_is_allowed() {
        for (password, expected) in [
            ("I\u{ad}X", "IX"),
            ("\u{aa}\u{2168}", "aIX"),
            ("tab\t", "tab\t"),
            ("🗝", "🗝"),
            ("\u{ad}", "\u{ad}"),
        ] {
            assert_eq!(prepared(&Password::new(password.to_owned())), expected.as_bytes());
        }
    }
}
