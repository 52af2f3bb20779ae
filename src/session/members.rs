//! The members of a session: in the order in which they came, and found by their id without a search.
//!
//! A session may have a thousand members, and each of them hears of the coming and going of all others.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use super::Connection;
use super::streams::Streams;

pub(super) struct Member {
    pub connection: Arc<Connection>,
    pub version: u32,
    pub streams: Streams,
    /// It has not rejoined yet.
    pub missing_until: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Members {
    by_number: BTreeMap<u64, Member>,
    numbers: HashMap<ById, u64>,
    /// Each gets one of its own, so the order of the numbers is that of the coming.
    last_number: u64,
}

/// A connection as the key of a map: shared with the member, where a text of its own would cost more than the rest.
struct ById(Arc<Connection>);

impl Member {
    pub fn deadline(&self) -> Option<Instant> {
        [self.missing_until, self.streams.poll_timeout()].into_iter().flatten().min()
    }
}

impl Members {
    pub fn get(&self, id: &str) -> Option<&Member> {
        self.by_number.get(self.numbers.get(id)?)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.by_number.get_mut(self.numbers.get(id)?)
    }

    /// One with an id that is there already takes its place.
    pub fn push(&mut self, member: Member) {
        self.remove(&member.connection.id);
        self.last_number += 1;
        self.numbers.insert(ById(member.connection.clone()), self.last_number);
        self.by_number.insert(self.last_number, member);
    }

    pub fn remove(&mut self, id: &str) -> Option<Member> {
        self.by_number.remove(&self.numbers.remove(id)?)
    }

    /// Takes out those that leave, in the order in which they came.
    pub fn remove_where(&mut self, leaves: impl Fn(&Member) -> bool) -> Vec<Member> {
        let gone = self.iter().filter(|member| leaves(member)).map(|member| member.connection.id.clone());
        let gone: Vec<String> = gone.collect();
        gone.iter().filter_map(|id| self.remove(id)).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_number.values()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.by_number.values_mut()
    }

    pub fn into_members(self) -> impl Iterator<Item = Member> {
        self.by_number.into_values()
    }
}

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}
