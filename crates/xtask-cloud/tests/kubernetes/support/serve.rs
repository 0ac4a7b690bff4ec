//! How the API server answers: objects, lists, watches, logs; and the faults it was told to have.

use std::io::BufReader;
use std::net::TcpStream;
use std::thread;

use serde_json::{Value, json};

use super::api::{Api, Fault, Script};
use super::http::{Request, answer, begin, chunk, finish};

impl Api {
    pub(super) fn serve(&self, stream: TcpStream, script: &Script) {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader) {
            let fault = self.note(&request);
            // A client that has gone away has seen enough.
            if self.reply(&request, fault, &mut writer, script).is_err() {
                return;
            }
        }
    }

    /// Notes the request, and finds the rule for it.
    fn note(&self, request: &Request) -> Option<Fault> {
        let line = format!("{} {}?{}", request.method, request.path, request.query);
        self.with(|state| {
            state.requests.push(line.clone());
            let fits = |on: &str| on.split('?').all(|part| line.contains(part));
            let rule = state.rules.iter_mut().find(|rule| rule.times > 0 && fits(rule.on))?;
            rule.times -= 1;
            Some(rule.fault.clone())
        })
    }

    fn reply(
        &self,
        request: &Request,
        fault: Option<Fault>,
        writer: &mut TcpStream,
        script: &Script,
    ) -> std::io::Result<()> {
        if let Some(Fault::Refuse { code, message }) = fault {
            return answer(writer, code, &refusal(code, message));
        }
        let words: Vec<_> =
            request.path.split('/').skip_while(|word| *word != "namespaces").skip(2).collect();
        let resource = match words.first() {
            Some(&"jobs") => "jobs",
            Some(&"pods") => "pods",
            Some(&"events") => "events",
            _ => {
                return answer(
                    writer,
                    404,
                    &refusal(404, "the server could not find the requested resource"),
                );
            }
        };
        match (request.method.as_str(), words.get(1), words.get(2)) {
            ("GET", None, _) if request.has("watch=true") => self.watch(request, resource, fault, writer),
            ("GET", None, _) => {
                let (items, version) = self.with(|state| {
                    let wanted = |(key, object): &(&(&str, String), &Value)| {
                        key.0 == resource && request.selects(object)
                    };
                    let items: Vec<_> =
                        state.objects.iter().filter(wanted).map(|(_, object)| object.clone()).collect();
                    (items, state.history.len())
                });
                answer(
                    writer,
                    200,
                    &json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version.to_string()}, "items": items}),
                )
            }
            ("GET", Some(pod), Some(&"log")) => self.stream_log(request, pod, fault, writer),
            ("GET", Some(name), _) => match self.object(resource, name) {
                Value::Null => {
                    answer(writer, 404, &refusal(404, &format!("{resource} \"{name}\" not found")))
                }
                object => answer(writer, 200, &object),
            },
            ("POST", None, _) => {
                let name = request.body["metadata"]["name"].as_str().unwrap().to_owned();
                let mut body = request.body.clone();
                if let Some(Fault::Admit { pointer, value }) = &fault {
                    let (parent, key) = pointer.rsplit_once('/').unwrap();
                    body.pointer_mut(parent).unwrap()[key] = serde_json::from_str(value).unwrap();
                }
                if request.has("dryRun=All") {
                    return answer(writer, 201, &body);
                }
                if !self.object("jobs", &name).is_null() {
                    return answer(writer, 409, &refusal(409, "already exists"));
                }
                self.create(&name, &body, request.parameter("fieldManager").unwrap_or("unknown"));
                let (api, script, job) = (self.clone(), script.clone(), name.clone());
                thread::spawn(move || script(&api, &job));
                if matches!(fault, Some(Fault::Lose)) {
                    return Err(std::io::ErrorKind::ConnectionReset.into());
                }
                answer(writer, 201, &self.object("jobs", &name))
            }
            ("DELETE", Some(name), _) => {
                let object = self.object(resource, name);
                self.remove(resource, name);
                answer(writer, 200, &object)
            }
            _ => answer(writer, 405, &refusal(405, "method not allowed")),
        }
    }

    fn watch(
        &self,
        request: &Request,
        resource: &str,
        fault: Option<Fault>,
        writer: &mut TcpStream,
    ) -> std::io::Result<()> {
        begin(writer)?;
        let mut at: usize =
            request.parameter("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
        let mut sent = 0;
        loop {
            let news = self.wait(|state| (state.history.len() > at).then(|| state.history[at..].to_vec()));
            at += news.len();
            for (of, kind, object) in news {
                if of != resource || !request.selects(&object) {
                    continue;
                }
                if let Some(end) = self.cut(fault.as_ref(), sent, writer) {
                    return end;
                }
                chunk(writer, &format!("{}\n", json!({"type": kind, "object": object})))?;
                sent += 1;
            }
            if let Some(end) = self.cut(fault.as_ref(), sent, writer) {
                return end;
            }
        }
    }

    fn stream_log(
        &self,
        request: &Request,
        pod: &str,
        fault: Option<Fault>,
        writer: &mut TcpStream,
    ) -> std::io::Result<()> {
        if !self.with(|state| state.logs.contains_key(pod)) {
            return answer(writer, 404, &refusal(404, &format!("pods \"{pod}\" not found")));
        }
        begin(writer)?;
        let since = request
            .parameter("sinceTime")
            .map(|time| time.replace("%3A", ":").trim_end_matches('Z').to_owned());
        let (mut at, mut sent) = (0, 0);
        loop {
            let (lines, ended) = self.wait(|state| {
                let (lines, ended) = state.logs.get(pod)?;
                (lines.len() > at || *ended || !request.has("follow=true"))
                    .then(|| (lines[at..].to_vec(), *ended))
            });
            at += lines.len();
            for line in
                lines.iter().filter(|line| since.as_ref().is_none_or(|since| line.as_str() >= since.as_str()))
            {
                if let Some(end) = self.cut(fault.as_ref(), sent, writer) {
                    return end;
                }
                chunk(writer, &format!("{line}\n"))?;
                sent += 1;
            }
            if ended || !request.has("follow=true") {
                return finish(writer);
            }
        }
    }

    fn cut(&self, fault: Option<&Fault>, sent: usize, writer: &mut TcpStream) -> Option<std::io::Result<()>> {
        match fault {
            Some(Fault::CutAfter(most)) if sent >= *most => Some(finish(writer)),
            Some(Fault::HangAfter(most)) if sent >= *most => loop {
                thread::park();
            },
            Some(Fault::BreakAfter(most)) if sent >= *most => {
                // Half closed, the client would wait for more.
                let _ = writer.shutdown(std::net::Shutdown::Both);
                Some(Err(std::io::ErrorKind::ConnectionReset.into()))
            }
            _ => None,
        }
    }
}

fn refusal(code: u16, message: &str) -> Value {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "AlreadyExists",
        422 => "Invalid",
        _ => "ServiceUnavailable",
    };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": reason})
}
