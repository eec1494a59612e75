//! Asks a database in a pod with tokio-postgres, with no local port.
//!
//! The server with its pod is made here; for a cluster, run `kubectl proxy`, say
//! `http://127.0.0.1:8001` instead, and leave out what is below `main`.
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use portway::{Options, Port, PortForward, Tokio};
use portway_server::{LocalPod, LocalPods, Server, Serving};
use tokio_postgres::{NoTls, SimpleQueryMessage};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rt = Tokio::current();
    let serving = serve_a_pod(&rt).await?;
    let server = format!("http://{}", serving.local_addr());

    let postgres: Port = "5432".parse()?;
    let pod = rt.http(&server, "default", "db-0")?;
    let stream = rt.forward(pod, &[postgres], Options::new()).await?.open(postgres)?;

    let config = "user=app dbname=shop".parse::<tokio_postgres::Config>()?;
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    let connection = tokio::spawn(connection);
    for message in client.simple_query("SELECT name FROM fruit").await? {
        if let SimpleQueryMessage::Row(row) = message {
            println!("{}", row.get("name").unwrap_or("NULL"));
        }
    }
    drop(client);
    connection.await??;
    println!("Goodbye");
    Ok(())
}

/// Stands in for a cluster: an API server with one pod, whose port 5432 speaks PostgreSQL's protocol.
async fn serve_a_pod(rt: &Tokio) -> Result<Serving, Box<dyn Error>> {
    let program = TcpListener::bind("127.0.0.1:0")?;
    let pod = LocalPod::closed().with_port("5432".parse()?, program.local_addr()?);
    std::thread::spawn(move || program.incoming().flatten().try_for_each(converse));
    let pods = LocalPods::new(rt.clone()).with("default", "db-0", pod);
    Ok(Server::new(rt.clone(), pods).listen("127.0.0.1:0".parse()?).await?)
}

/// Lets everybody in, and knows one table with one column.
fn converse(mut stream: TcpStream) -> io::Result<()> {
    let tagged = |tag: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
        [&[tag], length.to_be_bytes().as_slice(), body].concat()
    };
    let ready = tagged(b'Z', b"I");
    read_body(&mut stream)?;
    stream.write_all(&[tagged(b'R', &[0; 4]), ready.clone()].concat())?;
    let mut tag = [0];
    while stream.read_exact(&mut tag).is_ok() && tag != *b"X" {
        read_body(&mut stream)?;
        // One column of type text (25), in text form; then its rows.
        let column = b"\0\x01name\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
        let mut answer = tagged(b'T', column);
        for name in ["apple", "pear"] {
            let length = [0, 1, 0, 0, 0, name.len() as u8];
            answer.extend(tagged(b'D', &[&length, name.as_bytes()].concat()));
        }
        answer.extend(tagged(b'C', b"SELECT 2\0"));
        stream.write_all(&[answer, ready.clone()].concat())?;
    }
    Ok(())
}

/// What stands behind a length that counts itself.
fn read_body(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; (u32::from_be_bytes(length) as usize).saturating_sub(4)];
    stream.read_exact(&mut body)?;
    Ok(body)
}
