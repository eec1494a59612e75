use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use crate::child::serve_parent;
use crate::form::Form;
use crate::site::{ECHO, PORTS, SINK, SOURCE};
use crate::spdy::SpdySession;
use crate::upgrade::Upgrade;
use crate::v4::{V4Pipe, prebuilt};

/// Bytes that a source hands to the system at once.
pub(crate) const BLOCK: usize = 512 * 1024;

/// Payload of one message or frame of data, as Kubernetes sends them.
pub(crate) const PIECE: usize = 32 * 1024;

/// A connection as a program of the pod sees it.
pub(crate) trait Pipe {
    /// 0 at the end.
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize>;
    /// Takes bytes and does not look at them.
    fn skip(&mut self, bytes: usize) -> io::Result<()>;
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Sends that many of any bytes.
    fn blast(&mut self, bytes: usize) -> io::Result<()>;
    fn close(&mut self) -> io::Result<()>;
}

/// The child: `wire` serves all forms and ports behind one address, `plain` has an address for each
/// port.
pub(crate) fn run(kind: &str) {
    match kind {
        "wire" => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            serve_parent(&[listener.local_addr().unwrap()]);
            let messages = prebuilt();
            accept(&listener, move |stream| {
                let Upgrade { form, port, input, output } = Upgrade::accept(stream)?;
                match form {
                    Form::V4 => serve(V4Pipe::new(input, output, port, messages)?, port),
                    Form::Tunnel | Form::Spdy => {
                        SpdySession::new(input, output, form == Form::Tunnel).serve()
                    }
                }
            });
        }
        "plain" => {
            let bytes: &'static [u8] = vec![b'x'; BLOCK].leak();
            let listeners = PORTS.map(|port| (port, TcpListener::bind("127.0.0.1:0").unwrap()));
            let addrs = listeners.each_ref().map(|(_, listener)| listener.local_addr().unwrap());
            for (port, listener) in listeners {
                thread::spawn(move || {
                    accept(&listener, move |stream| serve(PlainPipe { stream, bytes }, port));
                });
            }
            serve_parent(&addrs);
            loop {
                thread::park();
            }
        }
        _ => panic!("serve wire or plain"),
    }
}

fn accept(
    listener: &TcpListener,
    serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
) {
    for stream in listener.incoming() {
        let (stream, serve) = (stream.unwrap(), serve.clone());
        stream.set_nodelay(true).unwrap();
        let small = thread::Builder::new().stack_size(256 * 1024);
        // Whatever the other side does to its connection is its business.
        small.spawn(move || drop(serve(stream))).unwrap();
    }
}

fn serve(mut pipe: impl Pipe, port: u16) -> io::Result<()> {
    match port {
        ECHO => {
            let mut buffer = vec![0; 32 * 1024];
            loop {
                let read = pipe.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                pipe.write(&buffer[..read])?;
            }
        }
        SINK => {
            let bytes = number(&mut pipe)?;
            pipe.skip(bytes)?;
            pipe.write(format!("{bytes}\n").as_bytes())?;
        }
        SOURCE => {
            let bytes = number(&mut pipe)?;
            pipe.blast(bytes)?;
        }
        _ => {}
    }
    pipe.close()
}

fn number(pipe: &mut impl Pipe) -> io::Result<usize> {
    let mut number = 0;
    let mut byte = [0];
    while pipe.read(&mut byte)? == 1 && byte[0] != b'\n' {
        number = number * 10 + usize::from(byte[0] - b'0');
    }
    Ok(number)
}

struct PlainPipe {
    stream: TcpStream,
    bytes: &'static [u8],
}

impl Pipe for PlainPipe {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.stream.read(to)
    }

    fn skip(&mut self, mut bytes: usize) -> io::Result<()> {
        let mut buffer = vec![0; BLOCK];
        while bytes > 0 {
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => bytes = bytes.saturating_sub(read),
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    fn blast(&mut self, mut bytes: usize) -> io::Result<()> {
        while bytes > 0 {
            let now = bytes.min(self.bytes.len());
            self.stream.write_all(&self.bytes[..now])?;
            bytes -= now;
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        while self.stream.read(&mut [0; 1024])? > 0 {}
        Ok(())
    }
}
