//! An instance of a service: it answers every request with its own name.

use anyhow::Result;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A running instance, until it is dropped.
pub(super) struct Instance {
    pub(super) address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Instance {
    /// Starts one that says `name`.
    pub(super) fn start(name: &str) -> Result<Instance> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let over = Arc::new(AtomicBool::new(false));
        let (name, done) = (name.to_owned(), over.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(|stream| stream.ok()) {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                let (name, done) = (name.clone(), done.clone());
                // A connection that breaks is the sidecar's to notice.
                std::thread::spawn(move || serve(stream, &name, &done));
            }
        });
        Ok(Instance { address, over })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes whoever accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, name: &str, over: &AtomicBool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    writer.set_nodelay(true)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        // A head ends with an empty line, and none of the requests has a body.
        if line == "\r\n" {
            if over.load(Ordering::Relaxed) {
                return writer.shutdown(Shutdown::Both);
            }
            let length = name.len();
            write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}")?;
        }
        line.clear();
    }
    Ok(())
}
