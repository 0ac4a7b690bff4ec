//! From the first word to "ready for query", or to the server's no.

use std::io;
use std::sync::Once;
use std::time::Duration;

use md5::{Digest as _, Md5};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::postgres::secret::password::{Lack, Password};
use crate::postgres::wire::authentication::Question;
use crate::postgres::wire::message::{self, Message, nonsense};
use crate::postgres::wire::rules::Rules;
use crate::postgres::wire::scram::{Scram, ServerProof};
use crate::postgres::wire::tls::Security;
use crate::postgres::{ChannelBinding, DatabaseError, Method, PasswordSource, Server};
use migration_core::Mistake;

/// More than any server says before it is ready.
const LONGEST_GREETING: usize = 1 << 20;

/// What the server said, for whoever goes on with the session.
pub(super) struct Greeting {
    /// All messages after the login, or the error that took its place.
    pub(super) bytes: Vec<u8>,
    /// What a cancel request has to name.
    pub(super) key: Option<[u8; 8]>,
    pub(super) refused: Option<Refused>,
}

pub(super) struct Refused {
    pub(super) sqlstate: String,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Unasked,
    /// While the job proved who it is.
    Asked,
    /// The same, when that was bound to the server's certificate.
    Bound,
    LoggedIn,
}

/// How far the proof of who we are has come.
enum Exchange {
    Nothing,
    /// The password was sent, or a hash of it.
    Sent,
    Begun(Scram, Password),
    Proved(ServerProof),
    /// Both sides have proved that they know the password.
    Mutual,
}

/// Logs in. A POSTGRES_PASSWORD_COMMAND may take as long as `limit`.
pub(super) async fn log_in(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
    server: &Server,
    security: &Security,
    limit: Duration,
) -> Result<Greeting, DatabaseError> {
    let broken = |error| security.broken(error);
    // As sqlx says it. A pooler may refuse startup parameters it doesn't know.
    let startup = message::startup(&[
        ("user", &server.user),
        ("database", &server.database),
        ("DateStyle", "ISO, MDY"),
        ("client_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("application_name", &server.application),
    ]);
    say(stream, &startup).await.map_err(broken)?;
    let rules = Rules {
        require_auth: server.require_auth.as_ref(),
        channel_binding: server.channel_binding,
        security,
    };
    let mut greeting = Greeting { bytes: Vec::new(), key: None, refused: None };
    let mut exchange = Exchange::Nothing;
    let mut stage = Stage::Unasked;
    let mut is_bound = false;
    loop {
        let Message { tag, body } = message::read(stream).await.map_err(broken)?;
        match tag {
            b'R' if stage != Stage::LoggedIn => {
                let question = Question::read(&body).map_err(broken)?;
                if question == Question::Welcome {
                    welcome(&exchange, &rules, is_bound)?;
                    if matches!(exchange, Exchange::Nothing)
                        && !matches!(server.password, PasswordSource::Absent)
                        && !security.is_verified()
                    {
                        say_not_asked();
                    }
                    stage = Stage::LoggedIn;
                    continue;
                }
                let answer;
                (exchange, answer) = respond(question, exchange, &rules, server, limit).await?;
                is_bound |= matches!(&exchange, Exchange::Begun(scram, _) if scram.is_bound());
                stage = if is_bound { Stage::Bound } else { Stage::Asked };
                if let Some(answer) = answer {
                    say(stream, &message::message(b'p', &answer)).await.map_err(broken)?;
                }
                continue;
            }
            b'E' => {
                greeting.refused = Some(Refused { sqlstate: message::sqlstate(&body), stage });
            }
            b'K' if stage == Stage::LoggedIn => greeting.key = body.as_slice().try_into().ok(),
            b'S' | b'Z' if stage == Stage::LoggedIn => {}
            // A notice.
            b'N' => {}
            _ => return Err(broken(nonsense("what it says at the login is not PostgreSQL's protocol"))),
        }
        greeting.bytes.extend(message::message(tag, &body));
        if greeting.bytes.len() > LONGEST_GREETING {
            return Err(broken(nonsense("its greeting does not end")));
        }
        if matches!(tag, b'E' | b'Z') {
            return Ok(greeting);
        }
    }
}

/// Says once in a run that a password was of no use: a server that asks for none need not know it.
fn say_not_asked() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::warn!(
            "the server did not ask for the password, so nothing proves that it is the right server; verify it with \
             POSTGRES_SSLMODE=verify-full, or refuse such a login with POSTGRES_REQUIRE_AUTH=scram-sha-256"
        );
    });
}

async fn say(stream: &mut (impl AsyncWrite + Unpin + ?Sized), words: &[u8]) -> io::Result<()> {
    stream.write_all(words).await?;
    stream.flush().await
}

/// Whether the server may let us in at this point.
fn welcome(exchange: &Exchange, rules: &Rules<'_>, is_bound: bool) -> Result<(), DatabaseError> {
    match exchange {
        Exchange::Nothing => rules.permit(Method::None),
        Exchange::Begun(..) | Exchange::Proved(_) => Err(DatabaseError::distrust(
            "the server lets the job in without having proved that it knows the password, as the right server would",
        )),
        Exchange::Sent | Exchange::Mutual => {
            if rules.channel_binding == ChannelBinding::Require && !is_bound {
                return Err(DatabaseError::distrust(
                    "the login is not bound to the connection, and POSTGRES_CHANNEL_BINDING is require",
                ));
            }
            Ok(())
        }
    }
}

/// What to say to a question, where there is something to say, and how far that brings us.
async fn respond(
    question: Question,
    exchange: Exchange,
    rules: &Rules<'_>,
    server: &Server,
    limit: Duration,
) -> Result<(Exchange, Option<Vec<u8>>), DatabaseError> {
    if let Some(method) = question.method() {
        rules.permit(method)?;
    }
    match (question, exchange) {
        (Question::Cleartext, Exchange::Nothing) => {
            let password = password(server, limit).await?;
            Ok((Exchange::Sent, Some(terminated(password.reveal()))))
        }
        (Question::Md5(salt), Exchange::Nothing) => {
            let password = password(server, limit).await?;
            Ok((Exchange::Sent, Some(terminated(&md5(&server.user, &password, salt)))))
        }
        (Question::Sasl(offered), Exchange::Nothing) => {
            let (mechanism, binding) = rules.choose(&offered)?;
            let password = password(server, limit).await?;
            let scram = Scram::begin(binding).map_err(DatabaseError::Cut)?;
            let first = scram.first();
            let length = u32::try_from(first.len()).unwrap_or(u32::MAX).to_be_bytes();
            let answer = [&terminated(mechanism), &length[..], first.as_bytes()].concat();
            Ok((Exchange::Begun(scram, password), Some(answer)))
        }
        (Question::SaslContinue(said), Exchange::Begun(scram, password)) => {
            let (answer, proof) = scram.prove(&password, &said).await?;
            Ok((Exchange::Proved(proof), Some(answer.into_bytes())))
        }
        (Question::SaslFinal(said), Exchange::Proved(proof)) => {
            if proof.is_given_by(&said) {
                return Ok((Exchange::Mutual, None));
            }
            Err(DatabaseError::distrust(
                "the server failed to prove that it knows the password: it is not the right server",
            ))
        }
        (Question::Other(code), Exchange::Nothing) => Err(DatabaseError::distrust(format!(
            "the server asks for {}, which this job does not support; use scram-sha-256 in pg_hba.conf",
            match code {
                7 => "GSSAPI".to_owned(),
                9 => "SSPI".to_owned(),
                other => format!("authentication of kind {other}"),
            }
        ))),
        _ => Err(DatabaseError::Cut(
            "what the server says at the login is not PostgreSQL's protocol".to_owned(),
        )),
    }
}

async fn password(server: &Server, limit: Duration) -> Result<Password, DatabaseError> {
    let mistake = |problem| Mistake { name: server.password.name().to_owned(), problem };
    let password = server.password.password(limit).await.map_err(|lack| match lack {
        Lack::Wrong(problem) => DatabaseError::Settings(mistake(problem)),
        Lack::ForNow(problem) => DatabaseError::NotNow(mistake(problem)),
    })?;
    password.ok_or_else(|| {
        DatabaseError::distrust("the server asks for a password, and there is none; set POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD_COMMAND")
    })
}

fn terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// `md5` and the hash of the salt and the hash that the server has stored.
fn md5(user: &str, password: &Password, salt: [u8; 4]) -> String {
    let stored = hex(&[password.reveal().as_bytes(), user.as_bytes()].concat());
    format!("md5{}", hex(&[stored.as_bytes(), &salt].concat()))
}

fn hex(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
