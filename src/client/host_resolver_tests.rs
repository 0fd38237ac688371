//! The resolver's thread: answers, hangs, panics, ends.

use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::sync::Parker;
use crate::time::Time;

/// A resolver that answers what `f` says.
struct By<F>(F);

impl<F: Fn(&str, u16) -> Addresses + Send + Sync> Resolver for By<F> {
    fn resolve(&self, host: &str, port: u16) -> Addresses {
        (self.0)(host, port)
    }
}

fn resolver(f: impl Fn(&str, u16) -> Addresses + Send + Sync + 'static) -> HostResolver {
    HostResolver::new(Some(Arc::new(By(f))), "test", Wakeup::new(None))
}

fn localhost(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn wait_for_answer(resolver: &mut HostResolver) -> (LookupTicket, Addresses) {
    let (parker, time) = (Parker::new(), Time::default());
    let until = time.now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = resolver.next_answer() {
            return answer;
        }
        assert!(time.now() < until, "no answer");
        parker.park_until(&time, Some(time.now() + Duration::from_millis(1)));
    }
}

fn pending(lookup: Lookup) -> LookupTicket {
    match lookup {
        Lookup::Pending(ticket) => ticket,
        Lookup::Done(addresses) => panic!("answered at once: {addresses:?}"),
    }
}

#[test]
fn lookup_of_an_address_is_answered_without_a_thread() {
    let mut resolver = resolver(|_, _| panic!("not to be asked"));
    for (host, expected) in [("10.0.0.1", "10.0.0.1:5"), ("::1", "[::1]:5")] {
        let Lookup::Done(Ok(addresses)) = resolver.lookup(&Arc::from(host), 5) else {
            panic!("{host}");
        };
        assert_eq!(addresses, [expected.parse().unwrap()]);
    }
    assert!(resolver.next_answer().is_none());
}

#[test]
fn lookup_of_names_is_answered_in_order_under_their_tickets() {
    let mut resolver = resolver(|host, port| match host {
        "bad" => Err(io::Error::other("no such host")),
        _ => Ok(vec![localhost(port)]),
    });
    let good = pending(resolver.lookup(&Arc::from("good"), 7));
    let bad = pending(resolver.lookup(&Arc::from("bad"), 8));
    let (ticket, addresses) = wait_for_answer(&mut resolver);
    assert_eq!(ticket, good);
    assert_eq!(addresses.unwrap(), [localhost(7)]);
    let (ticket, addresses) = wait_for_answer(&mut resolver);
    assert_eq!(ticket, bad);
    assert!(addresses.is_err());
}

#[test]
fn lookup_by_the_system_knows_localhost() {
    let mut resolver = HostResolver::new(None, "test", Wakeup::new(None));
    let _ticket = pending(resolver.lookup(&Arc::from("localhost"), 9092));
    let addresses = wait_for_answer(&mut resolver).1.unwrap();
    assert!(
        addresses
            .iter()
            .all(|address| address.ip().is_loopback() && address.port() == 9092)
    );
}

#[test]
fn answer_wakes_a_sleeping_poll() {
    let wakeup = Wakeup::new(None);
    assert!(wakeup.begin_sleep());
    let system = By(|_: &str, port| Ok(vec![localhost(port)]));
    let mut resolver = HostResolver::new(Some(Arc::new(system)), "test", wakeup.clone());
    let _ticket = pending(resolver.lookup(&Arc::from("name"), 1));
    wait_for_answer(&mut resolver).1.unwrap();
    // The answer is there before the wake-up is.
    let (parker, time) = (Parker::new(), Time::default());
    let until = time.now() + Duration::from_secs(20);
    while wakeup.writes() == 0 {
        assert!(time.now() < until, "not woken");
        parker.park_until(&time, Some(time.now() + Duration::from_millis(1)));
    }
}

#[test]
fn give_up_on_lookups_that_hang_starts_others_up_to_a_limit() {
    let (release, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let mut resolver = resolver(move |host, port| {
        if host == "hangs" {
            // Ends when the sender is dropped.
            let _ = gate.lock().unwrap().recv();
        }
        Ok(vec![localhost(port)])
    });
    for _ in 0..MAX_THREADS {
        let ticket = pending(resolver.lookup(&Arc::from("hangs"), 1));
        resolver.give_up(ticket);
    }
    let Lookup::Done(Err(error)) = resolver.lookup(&Arc::from("name"), 1) else {
        panic!("a thread too many");
    };
    assert!(error.to_string().contains("hang"), "{error}");
    drop(release);
    // The threads end by themselves, and there is room again.
    let (parker, time) = (Parker::new(), Time::default());
    let until = time.now() + Duration::from_secs(20);
    let ticket = loop {
        match resolver.lookup(&Arc::from("name"), 2) {
            Lookup::Pending(ticket) => break ticket,
            Lookup::Done(_) => assert!(time.now() < until, "threads leaked"),
        }
        parker.park_until(&time, Some(time.now() + Duration::from_millis(1)));
    };
    let (answered, addresses) = wait_for_answer(&mut resolver);
    assert_eq!(answered, ticket, "answers of lookups given up do not come");
    assert_eq!(addresses.unwrap(), [localhost(2)]);
}

#[test]
fn give_up_on_a_lookup_that_hangs_has_those_behind_it_answered() {
    let (release, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let mut resolver = resolver(move |host, port| {
        if host == "hangs" {
            let _ = gate.lock().unwrap().recv();
        }
        Ok(vec![localhost(port)])
    });
    let hangs = pending(resolver.lookup(&Arc::from("hangs"), 1));
    let given_up = pending(resolver.lookup(&Arc::from("name"), 2));
    let behind = pending(resolver.lookup(&Arc::from("name"), 3));
    resolver.give_up(given_up);
    assert!(
        resolver.next_answer().is_none(),
        "it does not hold the thread up"
    );
    resolver.give_up(hangs);
    assert_eq!(wait_for_answer(&mut resolver).0, given_up);
    assert_eq!(wait_for_answer(&mut resolver).0, behind);
    drop(release);
}

#[test]
fn drop_ends_the_thread_without_waiting_for_it() {
    let (release, gate) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let (gate, begun) = (std::sync::Mutex::new(gate), std::sync::Mutex::new(begun));
    let mut resolver = resolver(move |_, port| {
        begun.lock().unwrap().send(()).unwrap();
        let _ = gate.lock().unwrap().recv();
        Ok(vec![localhost(port)])
    });
    let _ticket = pending(resolver.lookup(&Arc::from("hangs"), 1));
    has_begun.recv().unwrap();
    let Inner::Thread(thread) = &resolver.inner else {
        panic!("a thread");
    };
    let alive = Arc::downgrade(&thread.alive);
    drop(resolver);
    assert_eq!(alive.strong_count(), 1, "it still hangs, and drop returned");
    drop(release);
    let (parker, time) = (Parker::new(), Time::default());
    let until = time.now() + Duration::from_secs(20);
    while alive.strong_count() > 0 {
        assert!(time.now() < until, "the thread does not end");
        parker.park_until(&time, Some(time.now() + Duration::from_millis(1)));
    }
}

#[test]
fn panic_of_the_resolver_fails_lookups_and_the_next_has_a_new_thread() {
    let mut resolver = resolver(|host, port| match host {
        "panics" => panic!("in the user's resolver, on purpose"),
        _ => Ok(vec![localhost(port)]),
    });
    let _ticket = pending(resolver.lookup(&Arc::from("panics"), 1));
    let (parker, time) = (Parker::new(), Time::default());
    let until = time.now() + Duration::from_secs(20);
    loop {
        let _lookup = resolver.lookup(&Arc::from("name"), 1);
        if let Some((_, addresses)) = resolver.next_answer() {
            assert!(addresses.is_ok());
            return;
        }
        assert!(time.now() < until, "no new thread");
        parker.park_until(&time, Some(time.now() + Duration::from_millis(1)));
    }
}
