//! The secrets that signatures are checked with.

use std::fmt;

/// API keys with their secrets, and at most one secret for every other key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    by_key: Vec<(String, String)>,
    any_key: Option<String>,
}

impl Secrets {
    pub fn new() -> Self {
        Self::default()
    }

    /// One secret whatever the key: `OTC_API_SECRET` names no key.
    pub fn for_any_key(secret: impl Into<String>) -> Self {
        Self { by_key: Vec::new(), any_key: Some(secret.into()) }
    }

    /// A later secret for the same key replaces the earlier one.
    pub fn add(&mut self, api_key: impl Into<String>, secret: impl Into<String>) {
        let api_key = api_key.into();
        self.by_key.retain(|(known, _)| *known != api_key);
        self.by_key.push((api_key, secret.into()));
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty() && self.any_key.is_none()
    }

    /// An empty secret is none: everybody could sign with it.
    pub fn find(&self, api_key: &str) -> Option<&str> {
        let own = self.by_key.iter().find(|(known, _)| known == api_key).map(|(_, secret)| secret);
        own.or(self.any_key.as_ref()).map(String::as_str).filter(|secret| !secret.is_empty())
    }
}

impl<K: Into<String>, S: Into<String>> FromIterator<(K, S)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (K, S)>>(pairs: I) -> Self {
        let mut secrets = Self::new();
        for (api_key, secret) in pairs {
            secrets.add(api_key, secret);
        }
        secrets
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.by_key.iter().map(|(key, _)| key.as_str()).collect();
        formatter
            .debug_struct("Secrets")
            .field("keys", &keys)
            .field("any_key", &self.any_key.is_some())
            .finish_non_exhaustive()
    }
}
