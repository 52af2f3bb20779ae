//! Handles: the numbers that a C program holds instead of pointers.
//!
//! A handle looks like a pointer and is never followed: it is looked up. A number is given out once and never again
//! (on 64 bits; on 32 bits after 16 million others), so a stale, doubled or invented one, or one of another kind,
//! finds nothing and gives a code. That is the strongest form of a generation check, and it needs no generations.
//!
//! The numbers lie where no address can be, so a program that follows one by mistake faults at once instead of
//! reading something.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use super::refusal::Refusal;

/// What a handle stands for, written into its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Session = 1,
    Settings = 2,
    Connection = 3,
    Stream = 4,
    Frame = 5,
    Publisher = 6,
    PublisherSettings = 7,
    Subscriber = 8,
    Capturer = 9,
    VideoTransformer = 10,
    AudioTransformer = 11,
    AudioInputs = 14,
    AudioOutputs = 15,
}

/// The layout of a number: mark, kind, sequence.
///
/// x86-64 wants the upper 16 bits (7 with five-level paging) to be equal; AArch64 may ignore the top byte and then
/// wants bits 52 to 55 to be equal. The mark breaks both rules.
#[cfg(target_pointer_width = "64")]
mod layout {
    pub const MARK: usize = 0x5a5 << 52;
    pub const MARK_MASK: usize = 0xfff << 52;
    pub const KIND_SHIFT: u32 = 48;
    pub const KIND_MASK: usize = 0xf << KIND_SHIFT;
    pub const SEQUENCE_MASK: usize = (1 << KIND_SHIFT) - 1;
}

/// On 32 bits the top of the address space belongs to the kernel.
#[cfg(target_pointer_width = "32")]
mod layout {
    pub const MARK: usize = 0xf << 28;
    pub const MARK_MASK: usize = 0xf << 28;
    pub const KIND_SHIFT: u32 = 24;
    pub const KIND_MASK: usize = 0xf << KIND_SHIFT;
    pub const SEQUENCE_MASK: usize = (1 << KIND_SHIFT) - 1;
}

/// One sequence for all kinds: two handles never share it, whatever they stand for.
static SEQUENCE: AtomicUsize = AtomicUsize::new(1);

/// Who ends an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The program, with the delete function of the kind.
    Program,
    /// The library: lent for a callback, or part of a parent object. The program's delete is harmless and does nothing.
    Library,
}

struct Entry<T> {
    object: Arc<T>,
    owner: Owner,
}

/// All live handles of one kind. `H` is the opaque C type, `T` what it stands for.
pub struct Table<H, T> {
    kind: Kind,
    // Ordered by number, that is by age, and needs no allocation to begin with, so a table can be a static.
    entries: RwLock<BTreeMap<usize, Entry<T>>>,
    handle_type: PhantomData<fn(H)>,
}

impl<H, T> Table<H, T> {
    pub const fn new(kind: Kind) -> Self {
        Self { kind, entries: RwLock::new(BTreeMap::new()), handle_type: PhantomData }
    }

    /// A handle that stands for nothing yet, for an object that has to know its own handle.
    pub fn reserve(&self) -> *mut H {
        let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed) & layout::SEQUENCE_MASK;
        (layout::MARK | (self.kind as usize) << layout::KIND_SHIFT | sequence) as *mut H
    }

    /// Gives a reserved handle its object.
    pub fn fill(&self, handle: *mut H, object: Arc<T>, owner: Owner) {
        let replaced = self.entries.write().insert(handle as usize, Entry { object, owner });
        drop(replaced); // only after the sequence of a 32-bit machine has come round; outside the lock
    }

    /// A handle that the program owns.
    pub fn give(&self, object: Arc<T>) -> *mut H {
        let handle = self.reserve();
        self.fill(handle, object, Owner::Program);
        handle
    }

    /// A handle that the library owns: it ends with the returned value.
    pub fn keep(&'static self, object: Arc<T>) -> Kept<H, T> {
        let handle = self.reserve();
        self.fill(handle, object, Owner::Library);
        Kept { table: self, number: handle as usize }
    }

    /// Looks a handle up.
    pub fn get(&self, handle: *const H, parameter: &'static str) -> Result<Arc<T>, Refusal> {
        match self.entries.read().get(&(handle as usize)) {
            Some(entry) => Ok(entry.object.clone()),
            None => Err(self.unknown(handle as usize, parameter)),
        }
    }

    /// The program's delete. A handle of the library's stays.
    pub fn delete(&self, handle: *mut H, parameter: &'static str) -> Result<(), Refusal> {
        let number = handle as usize;
        let removed = {
            let mut entries = self.entries.write();
            match entries.get(&number).map(|entry| entry.owner) {
                Some(Owner::Program) => entries.remove(&number),
                Some(Owner::Library) => None,
                None => return Err(self.unknown(number, parameter)),
            }
        };
        drop(removed); // outside the lock: an object may own handles of this table
        Ok(())
    }

    /// The handle ends when the returned value is dropped, whichever way the caller leaves.
    pub fn end_on_drop(&'static self, handle: *mut H) -> Kept<H, T> {
        Kept { table: self, number: handle as usize }
    }

    /// Ends every handle of this kind and returns what they stood for.
    pub fn drain(&self) -> Vec<Arc<T>> {
        let entries = std::mem::take(&mut *self.entries.write());
        entries.into_values().map(|entry| entry.object).collect()
    }

    /// The handle of the first object that is it; NULL when none is. There are few of those that are looked for so.
    pub fn find(&self, is_it: impl Fn(&T) -> bool) -> *mut H {
        let entries = self.entries.read();
        let found = entries.iter().find(|(_, entry)| is_it(&entry.object));
        found.map_or(std::ptr::null_mut(), |(number, _)| *number as *mut H)
    }

    pub fn len(&self) -> usize {
        self.entries.read().len()
    }

    fn remove(&self, number: usize) {
        let removed = self.entries.write().remove(&number);
        drop(removed); // outside the lock: an object may own handles of this table
    }

    fn unknown(&self, number: usize, parameter: &'static str) -> Refusal {
        let kind_bits = (self.kind as usize) << layout::KIND_SHIFT;
        let refusal = match number {
            0 => Refusal::null(parameter),
            _ if number & layout::MARK_MASK != layout::MARK => {
                Refusal::handle(parameter, "is not a handle of this library")
            }
            _ if number & layout::KIND_MASK != kind_bits => {
                Refusal::handle(parameter, "is a handle of another kind")
            }
            _ => Refusal::handle(parameter, "has been deleted, or was lent to a callback that has returned"),
        };
        refusal.of(number)
    }
}

/// A handle owned by the library. It ends with this value.
pub struct Kept<H: 'static, T: 'static> {
    table: &'static Table<H, T>,
    number: usize,
}

impl<H, T> Kept<H, T> {
    pub fn handle(&self) -> *mut H {
        self.number as *mut H
    }
}

impl<H, T> Drop for Kept<H, T> {
    fn drop(&mut self) {
        self.table.remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Cat;
    struct Dog;

    static CATS: Table<Cat, &str> = Table::new(Kind::Session);
    static DOGS: Table<Dog, &str> = Table::new(Kind::Stream);

    #[test]
    fn a_deleted_handle_finds_nothing_and_is_not_deleted_twice() {
        let cat = CATS.give(Arc::new("tom"));
        assert_eq!(*CATS.get(cat, "cat").expect("just given"), "tom");
        CATS.delete(cat, "cat").expect("lives");
        assert!(CATS.get(cat, "cat").is_err());
        assert!(CATS.delete(cat, "cat").is_err());
    }

    #[test]
    fn a_number_is_never_given_twice() {
        let first = CATS.give(Arc::new("tom"));
        CATS.delete(first, "cat").expect("lives");
        let second = CATS.give(Arc::new("felix"));
        assert_ne!(first, second);
        CATS.delete(second, "cat").expect("lives");
    }

    #[test]
    fn a_handle_of_another_kind_is_named_as_such() {
        let dog = DOGS.give(Arc::new("rex"));
        let refusal = CATS.get(dog.cast(), "cat").expect_err("a dog is no cat");
        assert_eq!(refusal, Refusal::handle("cat", "is a handle of another kind").of(dog as usize));
        DOGS.delete(dog, "dog").expect("lives");
    }

    #[test]
    fn invented_handles_find_nothing() {
        for number in [0, 1, 8, usize::MAX, layout::MARK, &CATS as *const _ as usize] {
            assert!(CATS.get(number as *const Cat, "cat").is_err(), "{number:#x}");
        }
    }

    #[test]
    fn the_program_cannot_end_what_the_library_keeps() {
        let kept = DOGS.keep(Arc::new("rex"));
        let dog = kept.handle();
        DOGS.delete(dog, "dog").expect("harmless");
        assert!(DOGS.get(dog, "dog").is_ok());
        drop(kept);
        assert!(DOGS.get(dog, "dog").is_err());
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn no_handle_is_an_address_on_x86_64_or_aarch64() {
        let number = CATS.reserve() as u64;
        let top = number >> 56;
        assert!(top != 0 && top != 0xff, "canonical with five-level paging");
        let below_top = (number >> 52) & 0xf;
        assert!(below_top != 0 && below_top != 0xf, "an address when the top byte is ignored");
    }
}
