//! A connection: a stream of requests and the stream of their responses, as a proxy passes them on.
//!
//! What is passed on must read, to the next hop, as the same messages with the same bodies, one for
//! one: otherwise a request could be smuggled past, or a response be given to the wrong request.
//!
//! Input: two bytes for the length of the requests, two for where the streams are cut, requests,
//! responses.

use http1::corpus::{self, Direction, Outcome, Reading};
use http1::{Asked, Limits, RequestHead};

/// Messages on one connection.
const MOST: usize = 16;

/// One turn of the fuzzer.
pub fn run(data: &[u8]) {
    let Some((choice, data)) = data.split_at_checked(4) else {
        return;
    };
    let (requests, responses) = super::cut(&choice[..2], data);
    let asked = client_side(requests, &choice[2..]);
    server_side(responses, &choice[2..], &asked);
}

/// Reads one message whole and cut in two, which must agree.
fn message(direction: &Direction, bytes: &[u8], choice: &[u8]) -> Outcome {
    let limits = Limits::default();
    let whole = corpus::read(direction, &limits, [bytes]);
    let (front, back) = super::cut(choice, bytes);
    assert_eq!(corpus::read(direction, &limits, [front, back]), whole);
    if let Outcome::Accepted(reading) = &whole {
        assert!(bytes.ends_with(&reading.rest));
        assert!(reading.rest.len() < bytes.len());
    }
    whole
}

/// The requests that are passed on, as what their responses need to know of them.
fn client_side(mut bytes: &[u8], choice: &[u8]) -> Vec<Asked> {
    let mut asked = Vec::new();
    let mut sent = Vec::new();
    let mut readings = Vec::new();
    while asked.len() < MOST {
        let Outcome::Accepted(reading) = message(&Direction::Request, bytes, choice) else {
            break;
        };
        let mut head = RequestHead::new();
        assert!(head.parse(bytes, &Limits::default()).is_ok());
        asked.push(head.asked());
        sent.extend(reading.passed_on(&Direction::Request));
        bytes = &bytes[bytes.len() - reading.rest.len()..];
        let more = reading.keep_alive;
        readings.push(reading);
        if !more {
            break;
        }
    }
    read_again(&sent, readings.iter().map(|reading| (Direction::Request, reading)));
    asked
}

/// Gives each request its response.
fn server_side(mut bytes: &[u8], choice: &[u8], asked: &[Asked]) {
    let mut sent = Vec::new();
    let mut readings = Vec::new();
    let mut waiting = asked.iter();
    let mut next = waiting.next();
    while let Some(current) = next {
        let direction = Direction::Response(*current);
        let Outcome::Accepted(reading) = message(&direction, bytes, choice) else {
            break;
        };
        if reading.upgraded {
            assert!(current.upgrade);
            break;
        }
        sent.extend(reading.passed_on(&direction));
        bytes = &bytes[bytes.len() - reading.rest.len()..];
        let (interim, more) = (reading.interim, reading.keep_alive);
        readings.push((direction, reading));
        if !more || readings.len() == MOST {
            break;
        }
        if !interim {
            next = waiting.next();
        }
    }
    read_again(&sent, readings.iter().map(|(direction, reading)| (*direction, reading)));
}

/// The next hop finds the same messages in what it was sent, and nothing behind them.
fn read_again<'a>(sent: &[u8], readings: impl Iterator<Item = (Direction, &'a Reading)>) {
    let mut rest = sent;
    for (direction, reading) in readings {
        let Outcome::Accepted(second) = corpus::read(&direction, &crate::head::ROOMY, [rest]) else {
            panic!("what was passed on is refused");
        };
        assert_eq!(second.framing, reading.framing);
        assert_eq!(second.body, reading.body);
        assert_eq!(second.keep_alive, reading.keep_alive);
        assert_eq!(second.interim, reading.interim);
        assert_eq!(second.authority, reading.authority);
        rest = &rest[rest.len() - second.rest.len()..];
    }
    assert!(rest.is_empty());
}
