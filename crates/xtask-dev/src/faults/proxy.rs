//! A relay between the job and the server that counts messages in both directions, holds everything at a chosen one,
//! and then goes on as it is told: on, cut off, reset, silent.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::moment::{Moment, Seen};
use super::wire::{self, MessagePosition, Speaker};
use crate::relay::{self, Relay};

/// How the relay goes on after it was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As if nothing had happened.
    On,
    /// Every connection is closed.
    Cut,
    /// Every connection is reset.
    Reset,
    /// Nothing passes any more on the connections there are; new ones work.
    Silent,
}

/// A running relay; every connection is closed when it is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    relay: Relay,
    state: Arc<Mutex<RelayState>>,
    /// The server. Beside the state, so that it can be changed while everything is held.
    server: Arc<Mutex<SocketAddr>>,
    held: Receiver<Sender<Way>>,
}

#[derive(Debug)]
struct RelayState {
    moment: Option<Moment>,
    report: Sender<Sender<Way>>,
    /// How long every change of speaker takes.
    delay: Duration,
    seen: Vec<Seen>,
    made: usize,
    links: Vec<Arc<Link>>,
}

#[derive(Debug)]
struct Link {
    number: usize,
    client: TcpStream,
    server: TcpStream,
    end: Mutex<Way>,
}

impl Proxy {
    /// Listens on a free port of the loopback; holds at the moment, if one is given.
    pub(super) fn start(server: SocketAddr, moment: Option<Moment>, delay: Duration) -> anyhow::Result<Self> {
        let (report, held) = channel();
        let state = RelayState { moment, report, delay, seen: Vec::new(), made: 0, links: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let server = Arc::new(Mutex::new(server));
        let (shared, target) = (Arc::clone(&state), Arc::clone(&server));
        let relay = Relay::start(move |client| serve(client, &target, &shared))?;
        Ok(Self { relay, state, server, held })
    }

    pub(super) fn port(&self) -> u16 {
        self.relay.port()
    }

    /// Where to say how to go on, when the moment has come; `None` while it has not.
    pub(super) fn held(&self, patience: Duration) -> Option<Sender<Way>> {
        self.held.recv_timeout(patience).ok()
    }

    /// Later connections go to another server.
    pub(super) fn retarget(&self, server: SocketAddr) {
        *lock(&self.server) = server;
    }

    /// Closes every connection. Not while everything is held: then this is what to answer.
    pub(super) fn cut(&self) {
        lock(&self.state).end_all(Way::Cut);
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        lock(&self.state).seen.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // A relay that is held must not keep the lock for ever.
        while let Ok(answer) = self.held.try_recv() {
            let _ = answer.send(Way::Cut);
        }
        self.relay.close();
        self.cut();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RelayState {
    /// Waits, with every message of every connection behind it.
    fn hold(&mut self) -> Way {
        self.moment = None;
        let (answer, way) = channel();
        let asked = self.report.send(answer).is_ok();
        let way = if asked { way.recv().unwrap_or(Way::On) } else { Way::On };
        if way != Way::On {
            self.end_all(way);
        }
        way
    }

    fn end_all(&mut self, way: Way) {
        for link in &self.links {
            link.end(way);
        }
        if way != Way::Silent {
            self.links.clear();
        }
    }
}

impl Link {
    /// Later ends of a link that has ended change nothing, but for one that is silent.
    fn end(&self, way: Way) {
        let mut end = lock(&self.end);
        if !matches!(*end, Way::On | Way::Silent) {
            return;
        }
        *end = way;
        for socket in [&self.client, &self.server] {
            // What fails here is closed already.
            let _ = match way {
                Way::On | Way::Silent => Ok(()),
                Way::Cut => socket.shutdown(Shutdown::Both),
                // Closing is then a reset; it happens when the threads, which this wakes, let go of the link.
                Way::Reset => rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO))
                    .map_err(io::Error::from)
                    .and_then(|()| socket.shutdown(Shutdown::Read)),
            };
        }
    }
}

fn serve(client: TcpStream, server: &Mutex<SocketAddr>, state: &Arc<Mutex<RelayState>>) -> io::Result<()> {
    let address = *lock(server);
    let server = relay::connect(&client, address)?;
    let mut own = lock(state);
    let link = Arc::new(Link { number: own.made, client, server, end: Mutex::new(Way::On) });
    own.made += 1;
    own.links.push(Arc::clone(&link));
    drop(own);
    for speaker in [Speaker::Client, Speaker::Server] {
        let (state, link) = (Arc::clone(state), Arc::clone(&link));
        std::thread::spawn(move || {
            // An end is an end, also one by an error or by nonsense.
            let _ = copy(&state, &link, speaker);
            if *lock(&link.end) != Way::Silent {
                link.end(Way::Cut);
                lock(&state).links.retain(|other| other.number != link.number);
            }
        });
    }
    Ok(())
}

/// Until either side has had enough, or the link is ended.
fn copy(state: &Mutex<RelayState>, link: &Link, speaker: Speaker) -> io::Result<()> {
    let (from, mut to) = match speaker {
        Speaker::Client => (&link.client, &link.server),
        Speaker::Server => (&link.server, &link.client),
    };
    let mut from = BufReader::new(from);
    let mut place = MessagePosition::Opening;
    while let Some(message) = wire::read(&mut from, speaker, place)? {
        place = MessagePosition::Later;
        travel(state, link, speaker);
        let mut state = lock(state);
        if *lock(&link.end) != Way::On {
            break;
        }
        state.seen.push(Seen {
            link: link.number,
            speaker,
            tag: message.tag,
            commits: message.commits(),
            concurrent: message.is_concurrent(),
        });
        let number = state.seen.len();
        if state.moment == Some(Moment::Before(number)) && state.hold() != Way::On {
            break;
        }
        to.write_all(&message.bytes)?;
        if state.moment == Some(Moment::After(number)) && state.hold() != Way::On {
            break;
        }
    }
    Ok(())
}

/// The way takes time: once for each change of speaker, since what is said in one go travels together.
fn travel(state: &Mutex<RelayState>, link: &Link, speaker: Speaker) {
    let state = lock(state);
    let last = state.seen.iter().rev().find(|seen| seen.link == link.number);
    let delay = if last.is_some_and(|last| last.speaker == speaker) { Duration::ZERO } else { state.delay };
    drop(state);
    std::thread::sleep(delay);
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    const STARTUP: &[u8] = &[0, 0, 0, 8, 0, 3, 0, 0];
    const QUERY: &[u8] = b"Q\0\0\0\x0c\nCOMMIT\0";
    const READY: &[u8] = b"Z\0\0\0\x05I";

    /// A client that has started, and the server's side of it.
    fn connected(moment: Moment) -> (Proxy, TcpStream, TcpStream) {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap(), Some(moment), Duration::ZERO).unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        let (mut served, _) = server.accept().unwrap();
        client.write_all(STARTUP).unwrap();
        served.read_exact(&mut [0; 8]).unwrap();
        (proxy, client, served)
    }

    fn held(proxy: &Proxy) -> Sender<Way> {
        proxy.held(Duration::from_secs(10)).unwrap()
    }

    #[test]
    fn holds_before_a_message_and_goes_on() {
        let (proxy, mut client, mut served) = connected(Moment::Before(2));
        client.write_all(QUERY).unwrap();
        let answer = held(&proxy);
        served.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(served.read(&mut [0; 1]).is_err(), "nothing has arrived");
        answer.send(Way::On).unwrap();
        served.set_read_timeout(None).unwrap();
        let mut query = [0; 13];
        served.read_exact(&mut query).unwrap();
        assert_eq!(query, QUERY);
        served.write_all(READY).unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
        let tags: Vec<_> = proxy.seen().iter().map(|seen| (seen.tag, seen.commits)).collect();
        assert_eq!(tags, [(None, false), (Some(b'Q'), true), (Some(b'Z'), false)]);
    }

    #[test]
    fn cuts_both_sides_and_loses_the_message() {
        let (proxy, mut client, mut served) = connected(Moment::Before(2));
        client.write_all(QUERY).unwrap();
        held(&proxy).send(Way::Cut).unwrap();
        assert_eq!(served.read(&mut [0; 1]).unwrap(), 0);
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    }

    #[test]
    fn resets_after_a_message_has_arrived() {
        let (proxy, mut client, mut served) = connected(Moment::After(2));
        client.write_all(QUERY).unwrap();
        held(&proxy).send(Way::Reset).unwrap();
        let mut query = [0; 13];
        // What has arrived may be lost with the reset, as on a real network.
        let _ = served.read_exact(&mut query);
        assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn says_nothing_more_until_it_is_dropped() {
        let (proxy, mut client, served) = connected(Moment::Before(2));
        client.write_all(QUERY).unwrap();
        held(&proxy).send(Way::Silent).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(client.read(&mut [0; 1]).is_err());
        drop(served);
        assert!(client.read(&mut [0; 1]).is_err());
        drop(proxy);
        client.set_read_timeout(None).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    }
}
