//! Bodies: however they arrive, the same data is found, the same bytes are consumed, and the same rule
//! is broken; and what is written of them reads the same again.
//!
//! Input: one byte for the framing, two for where the body is cut, the body.

use http1::{BodyReader, Framing, Rule, write};

/// What was found in a body.
#[derive(Debug, PartialEq, Default)]
struct Found {
    data: Vec<u8>,
    trailers: Vec<u8>,
    consumed: usize,
    done: bool,
    broken: Option<Rule>,
}

/// One turn of the fuzzer.
pub fn run(data: &[u8]) {
    let Some((choice, data)) = data.split_at_checked(3) else {
        return;
    };
    let framing = match choice[0] & 7 {
        0 => Framing::Empty,
        1 => Framing::UntilClose,
        2 => Framing::Length(u64::from(choice[0] >> 3)),
        3 => Framing::Length(u64::MAX - u64::from(choice[0] >> 3)),
        _ => Framing::Chunked,
    };
    let whole = read(framing, [data]);
    let (front, back) = super::cut(&choice[1..], data);
    assert_eq!(read(framing, [front, back]), whole);
    // Long inputs in longer pieces: what has arrived of a trailer section is read again each time.
    let piece = data.len() / 256 + 1;
    assert_eq!(read(framing, data.chunks(piece)), whole);
    if whole.done && framing == Framing::Chunked {
        again(&whole);
    }
}

fn read<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Found {
    let mut body = BodyReader::new(framing);
    let mut found = Found::default();
    let mut buf = Vec::new();
    for piece in pieces {
        buf.extend_from_slice(piece);
        while !body.is_done() {
            match body.read(&buf) {
                Ok(piece) => {
                    assert!(piece.skip + piece.data + piece.trailers <= piece.consumed);
                    assert!(piece.consumed <= buf.len());
                    assert_eq!(piece.done, body.is_done());
                    assert!(piece.data == 0 || piece.trailers == 0);
                    found.data.extend_from_slice(piece.data_of(&buf));
                    found.trailers.extend_from_slice(piece.trailers_of(&buf));
                    found.consumed += piece.consumed;
                    buf.drain(..piece.consumed);
                    if piece.consumed == 0 {
                        break;
                    }
                }
                Err(rule) => {
                    // How much was consumed before the fault was seen depends on how it arrived.
                    let broken = Some(rule);
                    return Found { broken, consumed: 0, data: Vec::new(), ..found };
                }
            }
        }
    }
    found.done = body.is_done();
    found
}

fn again(found: &Found) {
    let mut out = Vec::new();
    write::chunk_head(&mut out, found.data.len());
    if !found.data.is_empty() {
        out.extend_from_slice(&found.data);
        out.extend_from_slice(write::CHUNK_END);
    }
    write::last_chunk(&mut out, &found.trailers);
    let second = read(Framing::Chunked, [&out[..]]);
    assert!(second.done && second.consumed == out.len());
    assert_eq!(second.data, found.data);
    let mut twice = Vec::new();
    write::last_chunk(&mut twice, &second.trailers);
    assert!(out.ends_with(&twice));
}
