//! The members of a session: in the order in which they came, and found by their id without a search.
//!
//! A session may have a thousand members, and each of them hears of the coming and going of all others.

use std::borrow::Borrow;
use std::collections::HashMap;
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
    /// With their numbers, which grow.
    ordered: Vec<(u64, Member)>,
    numbers: HashMap<ById, u64>,
    last_number: u64,
}

/// A connection as the key of a map: shared with the member, where a text of its own would cost more than the rest.
struct ById(Arc<Connection>);

impl Member {
    /// A server that took over from another may have named its clients anew; signals go to the new name.
    pub fn is_called(&mut self, identity: &str) {
        if self.connection.identity != identity {
            let connection = Connection { identity: identity.into(), ..(*self.connection).clone() };
            self.connection = Arc::new(connection);
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        [self.missing_until, self.streams.poll_timeout()].into_iter().flatten().min()
    }
}

impl Members {
    pub fn get(&self, id: &str) -> Option<&Member> {
        self.ordered.get(self.position(id)?).map(|(_, member)| member)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut Member> {
        let position = self.position(id)?;
        self.ordered.get_mut(position).map(|(_, member)| member)
    }

    fn position(&self, id: &str) -> Option<usize> {
        let wanted = self.numbers.get(id)?;
        self.ordered.binary_search_by_key(wanted, |(number, _)| *number).ok()
    }

    /// One with an id that is there already takes its place.
    pub fn push(&mut self, member: Member) {
        self.remove(&member.connection.id);
        self.last_number += 1;
        self.numbers.insert(ById(member.connection.clone()), self.last_number);
        self.ordered.push((self.last_number, member));
    }

    pub fn remove(&mut self, id: &str) -> Option<Member> {
        let position = self.position(id)?;
        self.numbers.remove(id);
        Some(self.ordered.remove(position).1)
    }

    /// Takes out those that leave, in the order in which they came.
    pub fn remove_where(&mut self, leaves: impl Fn(&Member) -> bool) -> Vec<Member> {
        let gone = self.ordered.extract_if(.., |(_, member)| leaves(member));
        let gone: Vec<Member> = gone.map(|(_, member)| member).collect();
        for member in &gone {
            self.numbers.remove(member.connection.id.as_str());
        }
        gone
    }

    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.ordered.iter().map(|(_, member)| member)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.ordered.iter_mut().map(|(_, member)| member)
    }

    pub fn into_members(self) -> impl Iterator<Item = Member> {
        self.ordered.into_iter().map(|(_, member)| member)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, version: u32) -> Member {
        let connection = Arc::new(Connection {
            id: id.into(),
            identity: String::new(),
            data: String::new(),
            created_ms: 0,
            session_id: String::new(),
        });
        Member { streams: Streams::new(connection.clone()), connection, version, missing_until: None }
    }

    fn ids(members: &Members) -> Vec<&str> {
        members.iter().map(|member| member.connection.id.as_str()).collect()
    }

    #[test]
    fn members_keep_their_order_and_are_found_whoever_has_left() {
        let mut members = Members::default();
        for (id, version) in [("d", 1), ("a", 2), ("c", 3), ("b", 4), ("e", 5)] {
            members.push(member(id, version));
        }
        assert_eq!(members.remove("a").map(|member| member.version), Some(2));
        assert!(members.remove("a").is_none());
        let gone = members.remove_where(|member| member.version > 4 || member.version < 2);
        assert_eq!(gone.iter().map(|member| member.version).collect::<Vec<_>>(), [1, 5]);
        members.push(member("a", 6));
        assert_eq!(ids(&members), ["c", "b", "a"]);
        for (id, version) in [("c", 3), ("b", 4), ("a", 6)] {
            assert_eq!(members.get(id).map(|member| member.version), Some(version));
        }
        assert!(members.get("d").is_none() && members.get_mut("e").is_none());
        members.push(member("c", 7));
        assert_eq!(ids(&members), ["b", "a", "c"]);
    }
}
