//! What AWS says when something goes wrong, as sentences with a next step.

use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};

/// Every cause once: the SDK's own message is as short as "dispatch failure".
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut messages: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let message = error.to_string();
        if !messages.iter().any(|known| known.contains(&message)) {
            messages.push(message);
        }
        next = error.source();
    }
    messages.join(": ")
}

/// What was being done, what AWS said, what to do.
pub(super) fn explain<E, R>(what: &str, error: &SdkError<E, R>) -> anyhow::Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match (error.code(), error.message()) {
        (Some(code), message) => {
            let said = message.unwrap_or("no message");
            anyhow::anyhow!("{code}: {said}{}", advice(code)).context(what.to_owned())
        }
        (None, _) => anyhow::anyhow!("{}", chain(error)).context(what.to_owned()),
    }
}

fn advice(code: &str) -> &'static str {
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "; the credentials have expired: sign in again (aws sso login), or let the CI job ask for new ones"
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch" => {
            "; AWS does not know these credentials: look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE"
        }
        "AccessDeniedException" | "AccessDenied" => {
            "; add the action to the policy of this identity (docs/releasing.md has one to paste)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Said(&'static str, Option<Box<Said>>);

    impl std::fmt::Display for Said {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Said {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_ref().map(|source| source.as_ref() as _)
        }
    }

    #[test]
    fn causes_are_told_once() {
        let error = Said(
            "dispatch failure",
            Some(Box::new(Said("io error", Some(Box::new(Said("io error", None)))))),
        );
        assert_eq!(chain(&error), "dispatch failure: io error");
    }
}
