//! The bytes below a channel: a plain socket now, TLS over one later (Java: `TransportLayer`).
//!
//! Thread: Sender. Locks: none. Sockets are made by socket2, because buffer sizes must be set
//! before the connect: the receive buffer decides the window scale that the SYN offers.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;

use mio::Token;
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use super::interest_ops::InterestOps;
use super::poller::Registrar;
#[cfg(any(test, fuzzing))]
use super::simulated::{self, SharedWire, WireInterest, WireStream};

/// A non-blocking stream of bytes.
#[derive(Debug)]
pub(super) enum Transport {
    Plain(TcpStream),
    /// A connection of a simulated network.
    #[cfg(any(test, fuzzing))]
    Simulated(WireStream),
}

/// `send.buffer.bytes` and `receive.buffer.bytes`; negative means as the operating system has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SocketBuffers {
    pub(super) send_bytes: i32,
    pub(super) receive_bytes: i32,
}

impl Transport {
    /// Begins to connect. True: it is connected already.
    pub(super) fn connect(address: SocketAddr, buffers: SocketBuffers) -> io::Result<(Self, bool)> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_nonblocking(true)?;
        socket.set_keepalive(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Ok(bytes) = usize::try_from(buffers.send_bytes) {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Ok(bytes) = usize::try_from(buffers.receive_bytes) {
            socket.set_recv_buffer_size(bytes)?;
        }
        let at_once = match socket.connect(&address.into()) {
            Ok(()) => true,
            Err(error) if is_in_progress(&error) => false,
            Err(error) => return Err(error),
        };
        let stream = TcpStream::from_std(socket.into());
        Ok((Self::Plain(stream), at_once))
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn simulated(wire: &SharedWire, address: SocketAddr) -> io::Result<(Self, bool)> {
        let (id, at_once) = simulated::lock(wire).connect(address)?;
        let wire = SharedWire::clone(wire);
        Ok((Self::Simulated(WireStream { wire, id }), at_once))
    }

    /// After an event on a connecting socket: whether it is connected. False: not yet.
    pub(super) fn finish_connect(&self) -> io::Result<bool> {
        let stream = match self {
            Self::Plain(stream) => stream,
            #[cfg(any(test, fuzzing))]
            Self::Simulated(stream) => {
                return simulated::lock(&stream.wire).finish_connect(stream.id);
            }
        };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected || is_in_progress(&error) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn register(
        &mut self,
        registrar: Registrar<'_>,
        token: Token,
        ops: InterestOps,
    ) -> io::Result<()> {
        #[cfg(test)]
        calls::registration(token, calls::Registration::Register(ops));
        match (self, registrar) {
            (Self::Plain(stream), Registrar::System(registry)) => {
                registry.register(stream, token, mio_interest(ops))
            }
            #[cfg(any(test, fuzzing))]
            (transport, _) => transport.register_simulated(token, ops),
        }
    }

    pub(super) fn reregister(
        &mut self,
        registrar: Registrar<'_>,
        token: Token,
        ops: InterestOps,
    ) -> io::Result<()> {
        #[cfg(test)]
        calls::registration(token, calls::Registration::Reregister(ops));
        match (self, registrar) {
            (Self::Plain(stream), Registrar::System(registry)) => {
                registry.reregister(stream, token, mio_interest(ops))
            }
            #[cfg(any(test, fuzzing))]
            (transport, _) => transport.register_simulated(token, ops),
        }
    }

    #[cfg(any(test, fuzzing))]
    fn register_simulated(&self, token: Token, ops: InterestOps) -> io::Result<()> {
        let Self::Simulated(stream) = self else {
            return Err(ErrorKind::Unsupported.into());
        };
        let interest = WireInterest {
            read: ops.contains(InterestOps::READ),
            write: ops.hears_of_writable(),
        };
        simulated::lock(&stream.wire).register(stream.id, token.0, interest);
        Ok(())
    }

    pub(super) fn deregister(&mut self, registrar: Registrar<'_>) -> io::Result<()> {
        match (self, registrar) {
            (Self::Plain(stream), Registrar::System(registry)) => registry.deregister(stream),
            // It is closed next, and tells nothing more.
            #[cfg(any(test, fuzzing))]
            (_, _) => Ok(()),
        }
    }

    /// Whether `read` that brought fewer bytes than asked for has emptied the transport, so that
    /// the next bytes raise an edge (epoll(7), and kqueue). Elsewhere mio arms a socket again only
    /// when it says `WouldBlock`.
    pub(super) fn short_read_empties(&self) -> bool {
        match self {
            Self::Plain(_) => cfg!(any(
                target_os = "linux",
                target_os = "android",
                target_os = "macos",
                target_os = "freebsd"
            )),
            #[cfg(any(test, fuzzing))]
            Self::Simulated(stream) => simulated::lock(&stream.wire).short_read_empties(),
        }
    }
}

impl Read for Transport {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        #[cfg(test)]
        calls::count(|calls| calls.reads += 1);
        match self {
            Self::Plain(stream) => stream.read(into),
            #[cfg(any(test, fuzzing))]
            Self::Simulated(stream) => simulated::lock(&stream.wire).read(stream.id, into),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(from)])
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        #[cfg(test)]
        calls::count(|calls| calls.writes += 1);
        match self {
            Self::Plain(stream) => stream.write_vectored(from),
            #[cfg(any(test, fuzzing))]
            Self::Simulated(stream) => simulated::lock(&stream.wire).write(stream.id, from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn mio_interest(ops: InterestOps) -> mio::Interest {
    match (ops.contains(InterestOps::READ), ops.hears_of_writable()) {
        (true, true) => mio::Interest::READABLE | mio::Interest::WRITABLE,
        (false, true) => mio::Interest::WRITABLE,
        // A channel always wants one of the three.
        (true | false, false) => mio::Interest::READABLE,
    }
}

/// Whether a non-blocking connect goes on behind the scenes.
fn is_in_progress(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
        || error.raw_os_error() == EINPROGRESS
}

/// std has no stable name for this error.
const EINPROGRESS: Option<i32> = if cfg!(any(target_os = "linux", target_os = "android")) {
    if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
        Some(150)
    } else if cfg!(any(target_arch = "sparc", target_arch = "sparc64")) {
        Some(36)
    } else {
        Some(115)
    }
} else if cfg!(any(target_os = "solaris", target_os = "illumos")) {
    Some(150)
} else if cfg!(unix) {
    Some(36)
} else {
    // Windows says WouldBlock.
    None
};

/// What the calling thread asked of the operating system, for tests that count.
#[cfg(test)]
pub(super) mod calls {
    use std::cell::{Cell, RefCell};

    use mio::Token;

    use super::InterestOps;

    #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
    pub(in crate::network) struct Calls {
        pub(in crate::network) selects: u64,
        pub(in crate::network) reads: u64,
        pub(in crate::network) writes: u64,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in crate::network) enum Registration {
        Register(InterestOps),
        Reregister(InterestOps),
    }

    thread_local! {
        static CALLS: Cell<Calls> = Cell::default();
        static REGISTRATIONS: RefCell<Vec<(Token, Registration)>> = RefCell::default();
    }

    pub(super) fn registration(token: Token, change: Registration) {
        REGISTRATIONS.with_borrow_mut(|all| all.push((token, change)));
    }

    /// In order, since the last call of this function.
    pub(in crate::network) fn take_registrations() -> Vec<(Token, Registration)> {
        REGISTRATIONS.take()
    }

    pub(in crate::network) fn count(change: impl FnOnce(&mut Calls)) {
        CALLS.with(|cell| {
            let mut calls = cell.get();
            change(&mut calls);
            cell.set(calls);
        });
    }

    /// Since the last call of this function.
    pub(in crate::network) fn take() -> Calls {
        CALLS.take()
    }
}
