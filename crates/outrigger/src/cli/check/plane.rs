//! What the environment says of itself.

use crate::cli::ApiArgs;
use api::{AgentState, ClientError, Environment, Event, Instances, Query, Services, ask};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// So many events are looked at.
const EVENTS: u64 = 1000;

/// What the environment says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    pub(crate) address: SocketAddr,
    pub(crate) environment: Environment,
    pub(crate) services: Services,
    pub(crate) instances: Instances,
    /// The newest, oldest first.
    pub(crate) events: Vec<Event>,
    /// The number to ask for what comes next.
    pub(crate) next_event: u64,
    /// By how many seconds its clock is ahead of ours; none where it does not tell the time.
    pub(crate) ahead: Option<i64>,
    /// How far its sidecars are; none where it has no control plane.
    pub(crate) sync: Option<Sync>,
    /// The agents that have not been heard of within their lease, of so many; none where it has no control plane.
    pub(crate) silent: Option<(Vec<String>, usize)>,
}

/// How far sidecars are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sync {
    /// Those that are connected.
    pub(crate) connected: Vec<String>,
    /// Those that have not confirmed the latest, and for how long.
    pub(crate) behind: Vec<(String, Duration)>,
    /// What is refused: what it is, by whom, and why.
    pub(crate) refused: Vec<String>,
}

/// Asks for everything.
pub(crate) fn ask(args: &ApiArgs) -> Result<Answers, String> {
    gather(args).map_err(|why| why.to_string())
}

fn gather(args: &ApiArgs) -> Result<Answers, ClientError> {
    let client = args.client();
    let environment = client.environment()?;
    let events = client.events(Query::tail(EVENTS))?;
    Ok(Answers {
        address: args.api,
        services: client.services()?,
        instances: client.instances()?,
        next_event: events.next,
        events: events.events,
        ahead: ahead(args.api),
        // Whoever does not know these questions has no control plane.
        sync: known(client.send(&ask::sync()))?.map(|sync| followers(&sync)),
        silent: known(client.send(&ask::agents()))?.map(|agents| silent(&agents)),
        environment,
    })
}

/// The answer; none where there is no such question.
fn known<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Err(ClientError::Refused(problem)) if problem.problem == "unknown-path" => Ok(None),
        answer => answer.map(Some),
    }
}

fn followers(sync: &api::Sync) -> Sync {
    let behind =
        sync.sidecars.iter().filter_map(|s| Some((s.name.clone(), Duration::from_millis(s.behind_ms?))));
    let refused = sync.refused.iter().map(|what| {
        let by: Vec<String> = what.by.iter().map(|by| format!("{} ({})", by.sidecar, by.why)).collect();
        let author =
            if what.author.is_empty() { String::new() } else { format!(", declared by {},", what.author) };
        format!("{} {}{author} is refused by {}", what.kind, what.name, by.join(", "))
    });
    Sync {
        connected: sync.sidecars.iter().map(|s| s.name.clone()).collect(),
        behind: behind.collect(),
        refused: refused.collect(),
    }
}

fn silent(agents: &api::Agents) -> (Vec<String>, usize) {
    let silent = agents.agents.iter().filter(|agent| agent.state == AgentState::Silent);
    let there = agents.agents.iter().filter(|agent| agent.state != AgentState::Away);
    (silent.map(|agent| agent.name.clone()).collect(), there.count())
}

/// By how many seconds the clock of whoever answers at `address` is ahead of ours.
fn ahead(address: SocketAddr) -> Option<i64> {
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    let request = format!("GET /v1/environment HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer).ok()?;
    let head = answer.split("\r\n\r\n").next()?;
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, date) = fields.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("date"))?;
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(i64::try_from(http_date(date.trim())?).ok()? - i64::try_from(ours).ok()?)
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7, the one form that is sent today).
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, clock, "GMT"] = words[..] else { return None };
    let number = |text: &str| text.parse::<u64>().ok();
    let (day, year) = (number(day)?, number(year)?);
    let month = MONTHS.iter().position(|m| *m == month)? as u64;
    let parts: Vec<u64> = clock.split(':').map(number).collect::<Option<_>>()?;
    let [hour, minute, second] = parts[..] else { return None };
    // Years are counted from March, so that the leap day is the last of its year; 719,468 days lie between
    // 0000-03-01 and 1970-01-01.
    let (year, from_march) = if month >= 2 { (year, month - 2) } else { (year.checked_sub(1)?, month + 10) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * from_march + 2) / 5 + day;
    let days = days.checked_sub(1 + 719_468)?;
    (hour < 24 && minute < 60 && second <= 60).then(|| days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn dates_of_http_are_read() {
        for (text, want) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994 25:49:37 GMT", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(http_date(text), want, "{text}");
        }
    }

    #[test]
    fn a_clock_that_is_wrong_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            let answer =
                "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer.as_bytes()).unwrap();
        });
        assert!(ahead(address).unwrap() < -900_000_000);
        server.join().unwrap();
    }
}
