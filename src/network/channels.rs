//! The slab of channels: a channel's place and its generation make the token that the operating
//! system gives back, so that an event for a channel that is gone finds nobody.
//!
//! Thread: Sender. Locks: none. Invariant: `by_node` names exactly the places that are taken.

use std::collections::BTreeMap;

use mio::Token;

use super::kafka_channel::KafkaChannel;
use crate::cluster::NodeId;

/// All channels, by token and by node.
#[derive(Debug, Default)]
pub(super) struct Channels {
    entries: Vec<Entry>,
    free: Vec<usize>,
    by_node: BTreeMap<NodeId, usize>,
}

#[derive(Debug, Default)]
struct Entry {
    generation: usize,
    channel: Option<KafkaChannel>,
}

impl Channels {
    /// The token that the next `insert` will use.
    pub(super) fn vacant_token(&mut self) -> Token {
        let index = if let Some(index) = self.free.last() {
            *index
        } else {
            self.free.push(self.entries.len());
            self.entries.push(Entry::default());
            self.entries.len() - 1
        };
        self.token_at(index)
    }

    pub(super) fn insert(&mut self, channel: KafkaChannel) {
        let index = index_of(self.vacant_token());
        self.free.pop();
        self.by_node.insert(channel.node(), index);
        if let Some(entry) = self.entries.get_mut(index) {
            entry.channel = Some(channel);
        }
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<KafkaChannel> {
        let index = index_of(token);
        let entry = self.entries.get_mut(index)?;
        if entry.generation != generation_of(token) {
            return None;
        }
        let channel = entry.channel.take()?;
        entry.generation = entry.generation.wrapping_add(1) & INDEX_MASK;
        self.free.push(index);
        self.by_node.remove(&channel.node());
        Some(channel)
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut KafkaChannel> {
        let entry = self.entries.get_mut(index_of(token))?;
        if entry.generation == generation_of(token) {
            entry.channel.as_mut()
        } else {
            None
        }
    }

    pub(super) fn token_of(&self, node: NodeId) -> Option<Token> {
        self.by_node.get(&node).map(|index| self.token_at(*index))
    }

    pub(super) fn by_node(&self, node: NodeId) -> Option<&KafkaChannel> {
        let index = self.by_node.get(&node)?;
        self.entries.get(*index)?.channel.as_ref()
    }

    pub(super) fn token_at(&self, index: usize) -> Token {
        let generation = self.entries.get(index).map_or(0, |entry| entry.generation);
        Token(generation << INDEX_BITS | index)
    }
}

/// The place in the slab; dense, and reused.
pub(super) fn index_of(token: Token) -> usize {
    token.0 & INDEX_MASK
}

fn generation_of(token: Token) -> usize {
    token.0 >> INDEX_BITS
}

const INDEX_BITS: u32 = usize::BITS / 2;
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;
