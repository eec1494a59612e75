use std::io;
use std::time::{Duration, Instant};

use crc32fast::Hasher;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// What one direction of a transfer saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) bytes: u64,
    pub(crate) crc32: u32,
}

/// How a transfer went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer {
    pub(crate) sent: Seen,
    pub(crate) received: Seen,
    pub(crate) took: Duration,
}

/// Bytes of one write and of one read.
const BLOCK: usize = 256 * 1024;

/// Sends so many bytes and reads as many at the same time.
pub(crate) async fn both_ways(
    stream: impl AsyncRead + AsyncWrite,
    bytes: u64,
) -> io::Result<Transfer> {
    let started = Instant::now();
    let (reader, writer) = tokio::io::split(stream);
    let (sent, received) = tokio::try_join!(send(writer, bytes), receive(reader, bytes))?;
    Ok(Transfer { sent, received, took: started.elapsed() })
}

async fn send(mut to: impl AsyncWrite + Unpin, bytes: u64) -> io::Result<Seen> {
    let mut noise = Noise::new();
    let mut hasher = Hasher::new();
    let mut left = bytes;
    let mut block = vec![0; BLOCK];
    while left > 0 {
        let size = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let block = &mut block[..size];
        noise.fill(block);
        hasher.update(block);
        in_time(to.write_all(block)).await?;
        left -= size as u64;
    }
    to.flush().await?;
    Ok(Seen { bytes, crc32: hasher.finalize() })
}

/// Reads until there are as many bytes as expected, or an end.
async fn receive(mut from: impl AsyncRead + Unpin, expected: u64) -> io::Result<Seen> {
    let mut hasher = Hasher::new();
    let mut bytes = 0;
    let mut block = vec![0; BLOCK];
    while bytes < expected {
        let read = in_time(from.read(&mut block)).await?;
        if read == 0 {
            break;
        }
        hasher.update(&block[..read]);
        bytes += read as u64;
    }
    Ok(Seen { bytes, crc32: hasher.finalize() })
}

/// Nothing moves for this long: something is stuck.
const STALL: Duration = Duration::from_secs(10);

async fn in_time<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(STALL, step).await.unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("nothing moved for {} s", STALL.as_secs()),
        ))
    })
}

/// Bytes that repeat nowhere in a transfer, so that nothing lost, doubled or out of order goes
/// unnoticed. The generator is xorshift64.
struct Noise(u64);

impl Noise {
    const fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn fill(&mut self, block: &mut [u8]) {
        for chunk in block.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

impl Transfer {
    /// Nothing was lost or changed.
    pub(crate) fn is_whole(&self) -> bool {
        self.sent == self.received
    }

    /// MiB per second, in each direction.
    pub(crate) fn rate(&self) -> f64 {
        self.sent.bytes as f64 / (1024.0 * 1024.0) / self.took.as_secs_f64().max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn what_comes_back_whole_is_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let echo = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            }
        });
        for bytes in [0, 1, 100_003, 3 * BLOCK as u64] {
            let stream = TcpStream::connect(echo).await.unwrap();
            let transfer = both_ways(stream, bytes).await.unwrap();
            assert_eq!(transfer.sent.bytes, bytes);
            assert!(transfer.is_whole(), "{transfer:?}");
        }
    }

    #[tokio::test]
    async fn what_is_cut_or_changed_is_noticed() {
        let (near, far) = tokio::io::duplex(1024 * 1024);
        let (_, mut writer) = tokio::io::split(near);
        let sent = send(tokio::io::sink(), 1_000).await.unwrap();
        let mut bytes = vec![0; 1_000];
        Noise::new().fill(&mut bytes);
        bytes.swap(10, 900);
        writer.write_all(&bytes).await.unwrap();
        let (mut reader, _) = tokio::io::split(far);
        let changed = receive(&mut reader, 1_000).await.unwrap();
        assert_eq!(changed.bytes, sent.bytes);
        assert_ne!(changed.crc32, sent.crc32);
        writer.write_all(&bytes[..999]).await.unwrap();
        writer.shutdown().await.unwrap();
        assert_eq!(receive(reader, 1_000).await.unwrap().bytes, 999);
    }
}
