//! Writes the corpus as seeds for the fuzz targets: `cargo run -p http1 --example seeds -- DIR`.

use std::path::Path;

use http1::corpus::{self, Case, Direction};

fn main() -> Result<(), String> {
    let dir = std::env::args().nth(1).ok_or("usage: seeds DIR")?;
    let cases = corpus::cases()?;
    let (requests, responses): (Vec<&Case>, Vec<&Case>) = cases
        .iter()
        .filter(|case| case.bytes.len() <= 4096)
        .partition(|case| case.direction == Direction::Request);
    for case in requests.iter().chain(&responses) {
        write(&dir, "head", &case.name, &head(case))?;
        if let Some(body) = body(&case.bytes) {
            write(&dir, "framing", &case.name, &[&[4, 0, 3], body].concat())?;
        }
    }
    // Each request with the response of the same rank: any two will do.
    for (request, response) in requests.iter().zip(responses.iter().cycle()) {
        let len = request.bytes.len() as u16;
        let choice = [len.to_be_bytes(), [0, 20]].concat();
        write(&dir, "pair", &request.name, &[&choice, &request.bytes[..], &response.bytes].concat())?;
    }
    Ok(())
}

/// The targets' inputs are described in `fuzz/src`.
fn head(case: &Case) -> Vec<u8> {
    let kind = match case.direction {
        Direction::Request => 0,
        Direction::Response(asked) => 1 | u8::from(asked.head) << 1 | u8::from(asked.upgrade) << 2,
    };
    [&[kind, 0, 20], &case.bytes[..]].concat()
}

fn body(message: &[u8]) -> Option<&[u8]> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n")?;
    message.get(end + 4..).filter(|body| !body.is_empty())
}

fn write(dir: &str, target: &str, name: &str, seed: &[u8]) -> Result<(), String> {
    let folder = Path::new(dir).join(target);
    let file = folder.join(name);
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&file, seed))
        .map_err(|fault| format!("{}: {fault}", file.display()))
}
