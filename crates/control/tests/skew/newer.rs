//! What a later release may say: today's messages with fields and values in them that nobody knows yet.

use super::bytes::{read_request, read_update};
use super::meaning::{Held, of_request, of_update};
use super::tape::{Entry, Side, Tape};

/// Fields of every form in which protobuf can send one, by numbers that are not in use: a number, eight bytes, text,
/// four bytes.
const UNKNOWN: &[u8] = &[
    0x98, 0x06, 0x2a, // 99, a number
    0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, // 100, eight bytes
    0xaa, 0x06, 3, b'n', b'e', b'w', // 101, text
    0xb5, 0x06, 1, 2, 3, 4, // 102, four bytes
];

/// A way of balancing by a number that is not in use. The last value of a field counts, so it goes behind the others.
const BALANCING: &[u8] = &[0x08, 0x2a];

/// The recording as a later release might have made it.
pub(crate) async fn like_newer(tape: &Tape) -> Tape {
    let mut made = Vec::new();
    let mut held = Held::default();
    for entry in &tape.0 {
        match entry {
            Entry::Message { side: Side::Follower, bytes, .. } => {
                let bytes = newer_request(bytes);
                let request = read_request(&bytes).await.unwrap();
                held.leave(&request);
                made.push(Entry::Message { side: Side::Follower, meaning: of_request(&request), bytes });
            }
            Entry::Message { side: Side::Plane, bytes, .. } => {
                made.push(weather().await);
                let bytes = newer_update(bytes);
                let update = read_update(&bytes).await.unwrap();
                held.apply(&update);
                made.push(Entry::Message { side: Side::Plane, meaning: of_update(&update), bytes });
            }
            Entry::Holds(_) => made.push(Entry::Holds(held.to_string())),
            other => made.push(other.clone()),
        }
    }
    Tape(made)
}

/// A meaning without what the values beyond today's change in it: a way of balancing that is not known is the first one.
pub(crate) fn without_newer_values(meaning: &str) -> String {
    meaning.replace("[peak-ewma;", "[;").replace("[round-robin;", "[;").replace("[least-loaded;", "[;")
}

/// A resource of a type that nobody knows, unasked.
async fn weather() -> Entry {
    let url = b"type.googleapis.com/outrigger.v9.Weather";
    let any = [field(1, url), field(2, b"rain")].concat();
    let resource = [field(1, b"1"), field(2, &any), field(3, b"shop")].concat();
    let bytes = [field(2, &resource), field(4, url), field(5, b"weather-1")].concat();
    let meaning = of_update(&read_update(&bytes).await.unwrap());
    Entry::Message { side: Side::Plane, meaning, bytes }
}

fn newer_request(bytes: &[u8]) -> Vec<u8> {
    // A follower's node, field 1, says more about it.
    rewritten(bytes, 1, |node| [node, UNKNOWN].concat())
}

fn newer_update(bytes: &[u8]) -> Vec<u8> {
    let is_policy = bytes.windows(19).any(|window| window == b"outrigger.v1.Policy");
    // Its resources are field 2, what each says is field 2 of that, and the bytes of it field 2 of that again.
    rewritten(bytes, 2, |resource| {
        rewritten(resource, 2, |any| {
            rewritten(any, 2, |payload| [payload, if is_policy { BALANCING } else { &[] }, UNKNOWN].concat())
        })
    })
}

/// `message` with each field `number` as `change` makes it, and with fields at its end that are not known. All of its
/// fields are strings of bytes or messages.
fn rewritten(message: &[u8], number: u8, change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut made = Vec::new();
    let mut rest = message;
    while let [key, after @ ..] = rest {
        assert_eq!(key & 7, 2, "a field that is not of bytes");
        let (length, after) = varint(after);
        let (value, after) = after.split_at(length);
        made.extend(if key >> 3 == number { field(number, &change(value)) } else { field(key >> 3, value) });
        rest = after;
    }
    made.extend_from_slice(UNKNOWN);
    made
}

fn varint(bytes: &[u8]) -> (usize, &[u8]) {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).expect("a whole number");
    let number = bytes[..=end].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
    (number, &bytes[end + 1..])
}

fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut made = vec![number << 3 | 2];
    let mut length = value.len();
    while length > 0x7f {
        made.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    made.push(length as u8);
    made.extend_from_slice(value);
    made
}
