use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::net::QUEUE;

/// The file of a unix socket that we listen on. Dropping it removes the file, if it is still ours: it
/// has to be dropped before the listener is.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Which file it is, whatever its name. No other has the same while its socket is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// The longest path of a unix socket, without the zero at its end.
const LONGEST: usize =
    if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };

impl SocketFile {
    /// Listens at `path`, for nobody but our user. The socket does not block.
    pub(crate) fn listen(path: &Path) -> io::Result<(UnixListener, Self)> {
        let address = address(path)?;
        make_way(path, &address)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let socket = bind_for_us(socket, path, &address)?;
        // The working directory may be another one by the time it is removed.
        let path = std::path::absolute(path)?;
        let identity = Identity::of(&fs::symlink_metadata(&path)?);
        let file = Self { path, identity };
        socket.listen(QUEUE)?;
        Ok((OwnedFd::from(socket).into(), file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path, self.identity) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the unix socket");
        }
    }
}

impl Identity {
    fn of(file: &fs::Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino() }
    }
}

fn address(path: &Path) -> io::Result<SockAddr> {
    let refused = |why: String| io::Error::new(ErrorKind::InvalidInput, why);
    let bytes = path.as_os_str().as_encoded_bytes();
    match bytes.len() {
        0 => Err(refused("the path of a unix socket is missing".to_owned())),
        // At its beginning that would be a name that no file system knows and no mode protects.
        _ if bytes.contains(&0) => Err(refused("the path has a zero byte".to_owned())),
        len if len > LONGEST => {
            let why = format!("the path has {len} bytes, a unix socket's at most {LONGEST}");
            Err(refused(format!("{why}; choose a shorter one, or a relative one")))
        }
        _ => SockAddr::unix(path),
    }
}

/// Removes the socket of a program that is gone, and nothing else.
///
/// Of two programs that come in the same instant to what a third has left behind, one may remove what
/// the other has just bound and does not yet listen on: the system has no word that asks and
/// removes in one.
fn make_way(path: &Path, address: &SockAddr) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        there => there?,
    };
    if !there.file_type().is_socket() {
        let why = "there is something that is no socket; remove it, or choose another path";
        return Err(io::Error::new(ErrorKind::AlreadyExists, why));
    }
    if is_alive(address)? {
        return Err(io::Error::new(ErrorKind::AddrInUse, "somebody listens there already"));
    }
    tracing::debug!(path = %path.display(), "a unix socket that nobody listens on is removed");
    remove(path, Identity::of(&there))
}

/// Somebody listens there. They see a connection that ends at once.
fn is_alive(address: &SockAddr) -> io::Result<bool> {
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Where nobody accepts it would wait.
    probe.set_nonblocking(true)?;
    let Err(error) = probe.connect(address) else { return Ok(true) };
    let is = |kind| error.kind() == kind;
    if is(ErrorKind::ConnectionRefused) || is(ErrorKind::NotFound) {
        return Ok(false);
    }
    // As many wait there as may.
    if is(ErrorKind::WouldBlock) { Ok(true) } else { Err(error) }
}

fn remove(path: &Path, identity: Identity) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if Identity::of(&there) == identity => fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Binds it so that the file never has another mode than 0600: the umask is the whole process's, and
/// a mode that is changed afterwards comes too late for who is quick.
///
/// Linux gives the file the mode of the socket.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_for_us(socket: Socket, _: &Path, address: &SockAddr) -> io::Result<Socket> {
    let file = File::from(OwnedFd::from(socket));
    file.set_permissions(Permissions::from_mode(0o600))?;
    let socket = Socket::from(OwnedFd::from(file));
    socket.bind(address)?;
    Ok(socket)
}

/// Elsewhere it is bound in a directory of its own, which is closed to others, and moved from there.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_for_us(socket: Socket, path: &Path, _: &SockAddr) -> io::Result<Socket> {
    bind_behind_a_door(&socket, path)?;
    Ok(socket)
}

/// Not by a file's mode alone: not every system asks for that of a socket, but all do of a directory.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
fn bind_behind_a_door(socket: &Socket, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    let parent = path.parent().unwrap_or_else(|| Path::new(""));
    let room = parent.join(format!(".{:x}", std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&room)?;
    let inside = room.join("s");
    let bound = address(&inside)
        .and_then(|address| socket.bind(&address))
        .and_then(|()| fs::set_permissions(&inside, Permissions::from_mode(0o600)))
        .and_then(|()| fs::rename(&inside, path));
    if bound.is_err() {
        // What was made of it, if anything was.
        let _ = fs::remove_file(&inside);
    }
    fs::remove_dir(&room).and(bound)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_our_user_may_connect() {
        let path = directory().keep().join("s");
        let (_listener, file) = SocketFile::listen(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        UnixStream::connect(&path).unwrap();
        drop(file);
        fs::remove_dir(path.parent().unwrap()).expect("nothing is left behind");
    }

    #[test]
    fn the_way_of_other_systems_has_the_same_end() {
        let directory = directory();
        let path = directory.path().join("s");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        bind_behind_a_door(&socket, &path).unwrap();
        socket.listen(1).unwrap();
        assert_eq!(mode(&path), 0o600);
        UnixStream::connect(&path).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_dead_program_left_is_replaced() {
        let directory = directory();
        let path = directory.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let (_listener, _file) = SocketFile::listen(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn what_somebody_listens_on_is_left_alone() {
        let directory = directory();
        let path = directory.path().join("s");
        let theirs = UnixListener::bind(&path).unwrap();
        let error = SocketFile::listen(&path).unwrap_err();
        assert_eq!(error.to_string(), "somebody listens there already");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();
        drop(theirs);
    }

    #[test]
    fn a_program_that_accepts_nobody_is_alive() {
        let directory = directory();
        let path = directory.path().join("s");
        let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        busy.bind(&address(&path).unwrap()).unwrap();
        busy.listen(0).unwrap();
        let _waits = UnixStream::connect(&path).unwrap();
        assert_eq!(SocketFile::listen(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let directory = directory();
        let path = directory.path().join("s");
        fs::write(&path, "a letter").unwrap();
        let error = SocketFile::listen(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"a letter");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert_eq!(SocketFile::listen(&link).unwrap_err().kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn what_took_our_place_is_not_removed() {
        let directory = directory();
        let path = directory.path().join("s");
        let (listener, file) = SocketFile::listen(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _theirs = UnixListener::bind(&path).unwrap();
        drop((file, listener));
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_path_that_cannot_be_says_so() {
        let refused = |path: &str| SocketFile::listen(Path::new(path)).unwrap_err().to_string();
        let long = format!("/tmp/{}", "a".repeat(LONGEST));
        let says = format!("the path has {} bytes, a unix socket's at most {LONGEST}", long.len());
        assert!(refused(&long).starts_with(&says), "{}", refused(&long));
        assert_eq!(refused("\0abstract"), "the path has a zero byte");
        assert_eq!(refused(""), "the path of a unix socket is missing");
        let directory = directory();
        let fits =
            directory.path().join("a".repeat(LONGEST - directory.path().as_os_str().len() - 1));
        SocketFile::listen(&fits).unwrap();
    }
}
