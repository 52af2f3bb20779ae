//! Names become addresses on a few threads of their own.
//!
//! The system's resolver can be neither interrupted nor hurried: where no name server answers it takes ten seconds and
//! more. A thread of the runtime in it would keep the runtime from ending, with all of its descriptors. These threads
//! hold nothing but the names that they ask for, so one that is still in the resolver harms nobody when the library has
//! ended; the next library finds it here. Whoever asks may go away at any time.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::signals_sys;
use super::threads_sys::{Joinable, join_all, join_kept};

/// So many names are looked up at once. Programs have a server, perhaps a proxy, and a few TURN servers; so many of them
/// may be without an answer before another one has to wait.
const THREADS_MAX: usize = 8;

/// With port 0.
type Answer = Arc<io::Result<Vec<SocketAddr>>>;

type Look = Box<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Of the whole process, because its threads may outlive a library.
static NAMES: LazyLock<Names> = LazyLock::new(|| Names::new(Box::new(ask_the_system)));

fn ask_the_system(name: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((name, 0).to_socket_addrs()?.collect())
}

/// The addresses of a name, as the system's resolver orders them, with port 0.
pub(super) async fn look_up(name: &str) -> Answer {
    NAMES.look_up(name).await
}

/// Waits for lookups that nobody asks for any more, at most until `deadline`. Whether no thread is left.
pub fn wait(deadline: Instant) -> bool {
    NAMES.wait(deadline)
}

/// Whether there is no thread.
pub fn are_idle() -> bool {
    NAMES.are_idle()
}

/// Clones are the same.
#[derive(Clone)]
struct Names(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// A thread has nothing left to do.
    ended: Condvar,
    look: Look,
}

#[derive(Default)]
struct State {
    /// In the order in which they were asked for; of each name one.
    lookups: Vec<Lookup>,
    running: usize,
    threads: Vec<Joinable>,
}

struct Lookup {
    name: String,
    has_begun: bool,
    answer: watch::Sender<Option<Answer>>,
}

impl Lookup {
    fn is_wanted(&self) -> bool {
        self.answer.receiver_count() > 0
    }
}

impl Names {
    fn new(look: Look) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), ended: Condvar::new(), look }))
    }

    async fn look_up(&self, name: &str) -> Answer {
        let mut asked = match self.ask(name) {
            Ok(asked) => asked,
            Err(error) => return Arc::new(Err(error)),
        };
        match asked.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(answer)) => answer.clone(),
            _ => Arc::new(Err(io::Error::other("the lookup was given up"))),
        }
    }

    /// A lookup of the same name that is under way already will do.
    fn ask(&self, name: &str) -> io::Result<watch::Receiver<Option<Answer>>> {
        let mut state = self.0.state.lock();
        state.lookups.retain(|lookup| lookup.has_begun || lookup.is_wanted());
        if let Some(lookup) = state.lookups.iter().find(|lookup| lookup.name == name) {
            return Ok(lookup.answer.subscribe());
        }
        let (answer, asked) = watch::channel(None);
        state.lookups.push(Lookup { name: name.to_owned(), has_begun: false, answer });
        if state.running < THREADS_MAX
            && let Err(error) = self.start(&mut state)
            && state.running == 0
        {
            state.lookups.retain(|lookup| lookup.name != name);
            return Err(error);
        }
        Ok(asked)
    }

    fn start(&self, state: &mut State) -> io::Result<()> {
        join_all(&mut state.threads, Instant::now()); // those that are gone
        let names = self.clone();
        let thread = thread::Builder::new().name("otc-names".into());
        let thread = signals_sys::held(|| thread.spawn(move || names.work()))?;
        state.running += 1;
        state.threads.push(thread.into());
        Ok(())
    }

    /// A thread, until nothing is asked for.
    fn work(&self) {
        while let Some(name) = self.next() {
            let found = catch_unwind(AssertUnwindSafe(|| (self.0.look)(&name)));
            let found = found.unwrap_or_else(|_| Err(io::Error::other("the resolver panicked")));
            let mut state = self.0.state.lock();
            let place = state.lookups.iter().position(|lookup| lookup.name == name);
            let lookup = place.map(|place| state.lookups.remove(place));
            drop(state);
            if let Some(lookup) = lookup {
                lookup.answer.send_replace(Some(Arc::new(found)));
            }
        }
    }

    /// The next name. Where there is none this thread is counted no more, so that who asks next starts another one.
    fn next(&self) -> Option<String> {
        let mut state = self.0.state.lock();
        state.lookups.retain(|lookup| lookup.has_begun || lookup.is_wanted());
        if let Some(lookup) = state.lookups.iter_mut().find(|lookup| !lookup.has_begun) {
            lookup.has_begun = true;
            return Some(lookup.name.clone());
        }
        state.running -= 1;
        self.0.ended.notify_all();
        None
    }

    fn wait(&self, deadline: Instant) -> bool {
        let mut state = self.0.state.lock();
        while state.running > 0 && !self.0.ended.wait_until(&mut state, deadline).timed_out() {}
        if state.running > 0 {
            return false;
        }
        drop(state);
        join_kept(&self.0.state, |state| &mut state.threads, deadline)
    }

    fn are_idle(&self) -> bool {
        let state = self.0.state.lock();
        state.running == 0 && state.threads.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    /// Longer than anything takes on a busy machine.
    const LIMIT: Duration = Duration::from_secs(20);

    /// A resolver that tells what it is asked for, and answers when it is let.
    struct Slow {
        names: Names,
        asked: mpsc::Receiver<String>,
        /// Dropped, it lets all of them.
        answers: mpsc::Sender<()>,
        runtime: Runtime,
    }

    fn slow() -> Slow {
        let (tell, asked) = mpsc::channel();
        let (answers, lets) = mpsc::channel();
        let lets = Mutex::new(lets);
        let names = Names::new(Box::new(move |name| {
            tell.send(name.to_owned()).map_err(io::Error::other)?;
            let _ = lets.lock().recv_timeout(LIMIT); // the test may be over
            assert_ne!(name, "panics.example", "on purpose");
            Ok(vec![([192, 0, 2, 1], 0).into()])
        }));
        Slow {
            names,
            asked,
            answers,
            runtime: Builder::new_current_thread().enable_time().build().expect("a runtime"),
        }
    }

    impl Slow {
        fn hears(&self) -> String {
            self.asked.recv_timeout(LIMIT).expect("it is asked")
        }

        fn answer(&self, asked: &mut watch::Receiver<Option<Answer>>) -> Answer {
            let told = async { tokio::time::timeout(LIMIT, asked.wait_for(Option::is_some)).await };
            let answer = self.runtime.block_on(told).expect("in time").expect("an answer").clone();
            answer.expect("it is one")
        }

        fn end(self) {
            let Self { names, answers, .. } = self;
            drop(answers);
            assert!(names.wait(Instant::now() + LIMIT) && names.are_idle());
            assert!(names.0.state.lock().lookups.is_empty());
        }
    }

    #[test]
    fn lookups_of_one_name_are_one() {
        let slow = slow();
        let mut askers: Vec<_> = (0..40).map(|_| slow.names.ask("a.example").expect("a thread")).collect();
        assert_eq!(slow.hears(), "a.example");
        slow.answers.send(()).expect("it waits");
        for asker in &mut askers {
            assert_eq!(slow.answer(asker).as_ref().as_ref().expect("an address").len(), 1);
        }
        assert!(slow.asked.try_recv().is_err());
        // And what is asked for afterwards is looked up anew.
        let _again = slow.names.ask("a.example").expect("a thread");
        assert_eq!(slow.hears(), "a.example");
        slow.end();
    }

    #[test]
    fn threads_are_few_and_what_waits_for_one_is_looked_up_if_it_is_still_wanted() {
        let slow = slow();
        let mut askers: Vec<_> = (0..THREADS_MAX + 2)
            .map(|number| slow.names.ask(&format!("{number}.example")).expect("a thread"))
            .collect();
        for _ in 0..THREADS_MAX {
            slow.hears();
        }
        assert_eq!(slow.names.0.state.lock().running, THREADS_MAX);
        assert!(slow.asked.try_recv().is_err());
        drop(askers.remove(THREADS_MAX));
        slow.answers.send(()).expect("they wait");
        assert_eq!(slow.hears(), format!("{}.example", THREADS_MAX + 1));
        slow.end();
    }

    #[test]
    fn a_thread_that_is_in_the_resolver_is_known_until_it_returns() {
        let slow = slow();
        let asker = slow.names.ask("a.example").expect("a thread");
        slow.hears();
        drop(asker);
        assert!(!slow.names.are_idle() && !slow.names.wait(Instant::now()));
        slow.end();
    }

    #[test]
    fn a_resolver_that_panics_is_an_error_and_the_next_name_is_looked_up() {
        let slow = slow();
        let mut asker = slow.names.ask("panics.example").expect("a thread");
        slow.answers.send(()).expect("it is there");
        assert!(slow.answer(&mut asker).is_err());
        let mut asker = slow.names.ask("a.example").expect("a thread");
        slow.answers.send(()).expect("it is there");
        assert!(slow.answer(&mut asker).is_ok());
        slow.end();
    }
}
