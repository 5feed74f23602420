//! What can be followed: every resource by type and name, packed once for all followers, with its version.
//!
//! A version is a hash of what the resource says, never a counter: a follower may go from one control plane to
//! another and back. A version that was refused before anybody accepted it is *withdrawn*: the last good one goes on
//! being served, to newcomers too, until the author says something else. One that somebody has accepted stays, as the
//! fault may lie with the one who refuses it. Endpoints are facts, not wishes, and are never withdrawn.

use model::Moment;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wire::xds::resource::version_of;
use wire::xds::{Kind, Packed};

/// So many refusals are remembered for each resource; their number goes on being counted.
const REMEMBERED: usize = 8;

/// One version of a resource, shared by all who are sent it.
#[derive(Debug)]
pub struct Body {
    version: u64,
    packed: Packed,
    accepted: AtomicBool,
}

impl Body {
    fn new(kind: Kind, name: &str, payload: &[u8]) -> Body {
        let version = version_of(payload);
        let packed = Packed::new(kind, name, &version_text(version), payload);
        Body { version, packed, accepted: AtomicBool::new(false) }
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The form in which it travels.
    pub fn packed(&self) -> &Packed {
        &self.packed
    }

    /// A follower has accepted it.
    pub fn accept(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    fn is_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// A version in messages: 16 hexadecimal digits.
pub fn version_text(version: u64) -> String {
    format!("{version:016x}")
}

/// The version that `text` says; none where it is not one of ours.
pub fn version_from(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| digits)
}

/// Who refused a version, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedBy {
    /// The follower.
    pub follower: Arc<str>,
    /// What it said.
    pub why: String,
}

/// What an author should know of a version of a resource that was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusals {
    /// The version.
    pub version: u64,
    /// How often it was refused.
    pub count: u64,
    /// The latest ones who did, at most eight.
    pub by: VecDeque<RefusedBy>,
    /// Whether the version before it is served in its place.
    pub withdrawn: bool,
}

#[derive(Debug)]
struct Resource {
    /// What is served.
    body: Arc<Body>,
    /// The latest version that somebody accepted before this one.
    good: Option<Arc<Body>>,
    /// The latest version that the author wants, where it is not the one that is served.
    wanted: Option<u64>,
    refusals: Option<Refusals>,
}

/// Everything that can be followed.
#[derive(Debug, Default)]
pub struct Table {
    entries: BTreeMap<Kind, BTreeMap<Arc<str>, Resource>>,
    trusted: Moment,
    /// What was here and was removed before it is trusted: that is known to be gone.
    removed: BTreeSet<(Kind, Arc<str>)>,
}

impl Table {
    /// What is missing here is not believed to be gone before `moment`: nothing was known at the start, and those who
    /// know come back until then.
    pub fn distrust_until(&mut self, moment: Moment) {
        self.trusted = moment;
    }

    /// That moment has come.
    pub fn trust(&mut self) {
        self.trusted = Moment::ZERO;
        self.removed.clear();
    }

    /// Whether it is known that a resource of this name was there and is gone, while the table is not trusted.
    pub fn was_removed(&self, kind: Kind, name: &Arc<str>) -> bool {
        !self.removed.is_empty() && self.removed.contains(&(kind, name.clone()))
    }

    /// From when on what is missing here is gone.
    pub fn trusted(&self) -> Moment {
        self.trusted
    }

    /// Resource `name` says `payload` from now on; none: it is gone. Whether that is news to anybody.
    pub fn set(&mut self, kind: Kind, name: &str, payload: Option<&[u8]>) -> bool {
        let entries = self.entries.entry(kind).or_default();
        let Some(payload) = payload else {
            let Some((name, _)) = entries.remove_entry(name) else { return false };
            if self.trusted > Moment::ZERO {
                self.removed.insert((kind, name));
            }
            return true;
        };
        let version = version_of(payload);
        match entries.entry(name.into()) {
            Entry::Vacant(vacant) => {
                let body = Arc::new(Body::new(kind, name, payload));
                vacant.insert(Resource { body, good: None, wanted: None, refusals: None });
                true
            }
            Entry::Occupied(mut entry) => {
                let entry = entry.get_mut();
                if entry.wanted == Some(version) {
                    return false;
                }
                entry.wanted = None;
                entry.refusals = None;
                if entry.body.version == version {
                    return false;
                }
                let new = Arc::new(Body::new(kind, name, payload));
                let old = std::mem::replace(&mut entry.body, new);
                if old.is_accepted() {
                    entry.good = Some(old);
                }
                true
            }
        }
    }

    /// What resource `name` says.
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Arc<Body>> {
        self.entries.get(&kind)?.get(name).map(|entry| &entry.body)
    }

    /// The names that begin with `prefix`, in order.
    pub fn names(&self, kind: Kind, prefix: &str) -> impl Iterator<Item = &Arc<str>> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let entries = self.entries.get(&kind).into_iter().flat_map(move |all| all.range::<str, _>(from));
        entries.map(|(name, _)| name).take_while(move |name| name.starts_with(prefix))
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.entries.values().map(BTreeMap::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `follower` refused `version` of a resource. Whether it is withdrawn therefore, so that something else is
    /// served from now on.
    pub fn refuse(&mut self, kind: Kind, name: &str, version: u64, by: RefusedBy) -> bool {
        let Some(entry) = self.entries.get_mut(&kind).and_then(|all| all.get_mut(name)) else { return false };
        if entry.body.version != version && entry.wanted != Some(version) {
            return false;
        }
        let fresh = || Refusals { version, count: 0, by: VecDeque::new(), withdrawn: false };
        let refusals = entry.refusals.get_or_insert_with(fresh);
        refusals.count += 1;
        if refusals.by.len() >= REMEMBERED {
            refusals.by.pop_front();
        }
        refusals.by.push_back(by);
        let authored = matches!(kind, Kind::Service | Kind::Policy);
        let withdraw = authored && entry.body.version == version && !entry.body.is_accepted();
        match entry.good.clone().filter(|_| withdraw) {
            Some(good) => {
                refusals.withdrawn = true;
                entry.wanted = Some(version);
                entry.body = good;
                true
            }
            None => false,
        }
    }

    /// Whether this version, which is still wanted, has been refused once.
    pub fn is_first_refusal(&self, kind: Kind, name: &str, version: u64) -> bool {
        let entry = self.entries.get(&kind).and_then(|all| all.get(name));
        let refusals = entry.and_then(|entry| entry.refusals.as_ref());
        refusals.is_some_and(|refusals| refusals.version == version && refusals.count == 1)
    }

    /// The resources of which a version was refused that is still wanted, with who refused it and why.
    pub fn refusals(&self) -> impl Iterator<Item = (Kind, &Arc<str>, &Refusals)> {
        self.entries.iter().flat_map(|(kind, entries)| {
            entries.iter().filter_map(|(name, entry)| Some((*kind, name, entry.refusals.as_ref()?)))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn by(follower: &str) -> RefusedBy {
        RefusedBy { follower: follower.into(), why: "no".into() }
    }

    fn version(table: &Table, name: &str) -> u64 {
        table.get(Kind::Policy, name).unwrap().version()
    }

    #[test]
    fn the_same_again_is_no_news() {
        let mut table = Table::default();
        assert!(table.set(Kind::Policy, "a", Some(b"1")));
        assert!(!table.set(Kind::Policy, "a", Some(b"1")));
        assert!(table.set(Kind::Policy, "a", Some(b"2")));
        assert!(table.set(Kind::Policy, "a", None));
        assert!(!table.set(Kind::Policy, "a", None));
        assert!(table.is_empty());
    }

    #[test]
    fn names_of_a_prefix_are_those_and_no_others() {
        let mut table = Table::default();
        for name in ["a/1", "a/2", "a-b/1", "ab/1", "a"] {
            table.set(Kind::Endpoint, name, Some(b""));
        }
        let names: Vec<_> = table.names(Kind::Endpoint, "a/").map(|name| &**name).collect();
        assert_eq!(names, ["a/1", "a/2"]);
        assert_eq!(table.names(Kind::Endpoint, "").count(), 5);
        assert_eq!(table.names(Kind::Service, "").count(), 0);
    }

    #[test]
    fn a_version_that_nobody_has_accepted_is_withdrawn_when_it_is_refused() {
        let mut table = Table::default();
        table.set(Kind::Policy, "a", Some(b"good"));
        table.get(Kind::Policy, "a").unwrap().accept();
        table.set(Kind::Policy, "a", Some(b"bad"));
        let bad = version(&table, "a");
        assert!(table.refuse(Kind::Policy, "a", bad, by("shop-1")));
        assert_eq!(version(&table, "a"), version_of(b"good"));
        assert!(!table.refuse(Kind::Policy, "a", bad, by("shop-2")), "it is withdrawn once");
        let (_, name, refusals) = table.refusals().next().unwrap();
        assert_eq!((&**name, refusals.count, refusals.withdrawn), ("a", 2, true));
        let who: Vec<_> = refusals.by.iter().map(|by| &*by.follower).collect();
        assert_eq!(who, ["shop-1", "shop-2"]);
        // The author says the same again: still refused. Something else: a new attempt.
        assert!(!table.set(Kind::Policy, "a", Some(b"bad")));
        assert_eq!(table.refusals().count(), 1);
        assert!(table.set(Kind::Policy, "a", Some(b"better")));
        assert_eq!(table.refusals().count(), 0);
        assert!(table.refuse(Kind::Policy, "a", version_of(b"better"), by("shop-1")));
        assert!(!table.set(Kind::Policy, "a", Some(b"good")), "going back is no news");
        assert_eq!(table.refusals().count(), 0);
    }

    #[test]
    fn a_version_that_somebody_accepted_stays() {
        let mut table = Table::default();
        table.set(Kind::Policy, "a", Some(b"1"));
        table.get(Kind::Policy, "a").unwrap().accept();
        table.set(Kind::Policy, "a", Some(b"2"));
        table.get(Kind::Policy, "a").unwrap().accept();
        assert!(!table.refuse(Kind::Policy, "a", version_of(b"2"), by("shop-1")));
        assert_eq!(version(&table, "a"), version_of(b"2"));
        assert_eq!(table.refusals().count(), 1);
        assert!(!table.refuse(Kind::Policy, "a", version_of(b"1"), by("shop-1")), "old news");
    }

    #[test]
    fn the_first_version_and_endpoints_are_never_withdrawn() {
        let mut table = Table::default();
        table.set(Kind::Policy, "a", Some(b"1"));
        assert!(!table.refuse(Kind::Policy, "a", version_of(b"1"), by("shop-1")));
        table.set(Kind::Endpoint, "a/1", Some(b"1"));
        table.get(Kind::Endpoint, "a/1").unwrap().accept();
        table.set(Kind::Endpoint, "a/1", Some(b"2"));
        assert!(!table.refuse(Kind::Endpoint, "a/1", version_of(b"2"), by("shop-1")));
    }

    #[test]
    fn refusals_are_counted_and_the_latest_remembered() {
        let mut table = Table::default();
        table.set(Kind::Policy, "a", Some(b"1"));
        for number in 0..20 {
            table.refuse(Kind::Policy, "a", version_of(b"1"), by(&format!("shop-{number}")));
        }
        assert!(!table.is_first_refusal(Kind::Policy, "a", version_of(b"1")));
        let (_, _, refusals) = table.refusals().next().unwrap();
        assert_eq!((refusals.count, refusals.by.len()), (20, 8));
        assert_eq!(&*refusals.by.back().unwrap().follower, "shop-19");
    }

    #[test]
    fn versions_are_text_and_back() {
        for version in [0, 1, u64::MAX] {
            assert_eq!(version_from(&version_text(version)), Some(version));
        }
        for odd in ["", "1", "000000000000000g", "+000000000000001", "1234567890123456 "] {
            assert_eq!(version_from(odd), None, "{odd}");
        }
    }
}
