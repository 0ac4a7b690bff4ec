//! The progress of a BuildKit build: protobuf messages (`moby.buildkit.v1.StatusResponse`), of which the names of
//! the steps, their output and their errors are read. Everything else is skipped, as protobuf allows.

/// What one message says that is worth a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BuildEvent {
    Started { step: String },
    Output { text: String },
    Failed { step: String, error: String },
}

/// Reads one message. A message that is not understood yields what was read of it.
pub(crate) fn events(message: &[u8]) -> Vec<BuildEvent> {
    let mut events = Vec::new();
    for (number, content) in Fields(message) {
        match (number, content) {
            (1, Content::Bytes(vertex)) => events.extend(vertex_event(vertex)),
            (3, Content::Bytes(log)) => {
                for (number, content) in Fields(log) {
                    if let (4, Content::Bytes(text)) = (number, content) {
                        events.push(BuildEvent::Output { text: String::from_utf8_lossy(text).into_owned() });
                    }
                }
            }
            _ => {}
        }
    }
    events
}

/// `Vertex`: name = 3, cached = 4, started = 5, completed = 6, error = 7.
fn vertex_event(vertex: &[u8]) -> Option<BuildEvent> {
    let (mut step, mut error, mut started, mut completed) = (String::new(), String::new(), false, false);
    for (number, content) in Fields(vertex) {
        match (number, content) {
            (3, Content::Bytes(text)) => step = String::from_utf8_lossy(text).into_owned(),
            (5, _) => started = true,
            (6, _) => completed = true,
            (7, Content::Bytes(text)) => error = String::from_utf8_lossy(text).into_owned(),
            _ => {}
        }
    }
    if !error.is_empty() {
        return Some(BuildEvent::Failed { step, error });
    }
    (started && !completed).then_some(BuildEvent::Started { step })
}

enum Content<'a> {
    Number,
    Bytes(&'a [u8]),
}

/// The fields of a message, up to the first that makes no sense.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Content<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.varint()?;
        let content = match key & 7 {
            0 => self.varint().map(|_| Content::Number)?,
            1 => self.take(8).map(|_| Content::Number)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Content::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Content::Number)?,
            _ => return None,
        };
        Some((key >> 3, content))
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;

    /// Recorded from an engine 20.10.
    #[test]
    fn recorded_messages_are_read() {
        for (message, expected) in [
            // announced, not started
            (
                "CqMBCkdzaGEyNTY6YWI4NmUxZDI5OWU4MWE2ZTE2YzNmNTQxNjUxNWIzYzcyNjgzZjhiM2RjOTkwNmVjMjFlY2UyZjU4MTIyNjEwNBJHc2hhMjU2OjA3ZjYzNjE2NzQ1M2JjZmJkYTdhY2U4NDk0Yjg3YmRhMWE5ZDU3ODY3ZGEzOWYzOGJhYTQyYzUxY2Y5YWQ0MDcaD2NvcHkgL2NvbnRleHQgLw==",
                vec![],
            ),
            // started
            (
                "CrABCkdzaGEyNTY6MmI3YWE2YzNiNDI5ZGNmOWI4MWQxMmM5ODQ4ZTkxNDY1ZWZmNDY3ODIwZmE2ZDExNmYzYmVhYzM2ZTE4MzA4YhJHc2hhMjU2OmFiODZlMWQyOTllODFhNmUxNmMzZjU0MTY1MTViM2M3MjY4M2Y4YjNkYzk5MDZlYzIxZWNlMmY1ODEyMjYxMDQaD1sxLzFdIENPUFkgYSAvYSoLCNKtkdgGEJnt+iM=",
                vec![BuildEvent::Started { step: "[1/1] COPY a /a".to_owned() }],
            ),
            // completed
            (
                "Cr0BCkdzaGEyNTY6MmI3YWE2YzNiNDI5ZGNmOWI4MWQxMmM5ODQ4ZTkxNDY1ZWZmNDY3ODIwZmE2ZDExNmYzYmVhYzM2ZTE4MzA4YhJHc2hhMjU2OmFiODZlMWQyOTllODFhNmUxNmMzZjU0MTY1MTViM2M3MjY4M2Y4YjNkYzk5MDZlYzIxZWNlMmY1ODEyMjYxMDQaD1sxLzFdIENPUFkgYSAvYSoLCNKtkdgGEJnt+iMyCwjSrZHYBhCq7Jgm",
                vec![],
            ),
        ] {
            let bytes = base64::engine::general_purpose::STANDARD.decode(message).unwrap();
            assert_eq!(events(&bytes), expected);
        }
    }

    #[test]
    fn output_and_errors_are_read_and_nonsense_is_survived() {
        let log = [&[0x1a, 6, 0x22, 4], b"hi\n!".as_slice()].concat();
        assert_eq!(events(&log), [BuildEvent::Output { text: "hi\n!".to_owned() }]);
        let failed = [&[0x0a, 7, 0x1a, 1], b"s".as_slice(), &[0x3a, 2], b"no"].concat();
        assert_eq!(events(&failed), [BuildEvent::Failed { step: "s".to_owned(), error: "no".to_owned() }]);
        for nonsense in [&[0x0a, 0xff][..], &[0xff; 20], &[0x0b], b"plain text"] {
            assert_eq!(events(nonsense), []);
        }
    }
}
