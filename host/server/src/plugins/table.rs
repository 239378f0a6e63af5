//! What answers at each place, and how that is exchanged while calls run.
//!
//! A call takes its [`Turn`] under one lock and holds it until it has its answer, so it is finished by the
//! version that began it. [`Table::follow`] makes the table what a catalogue says; the drains that it
//! returns end when the last call that began before has ended. Where an index or a dataset gets a plugin of
//! its own, calls for it may still run on what serves everywhere: that one is exchanged for itself, which
//! lets its earlier calls be waited for too.
//!
//! Every seat holds something that can be asked: where a version cannot be loaded, the plugin of the house
//! sits in its place and its health is *suspended*.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use boathouse_plugins::{Drain, Lease, Plugin, Slot};
use boathouse_types::{DatasetName, PluginKind, PluginRef};

use super::{health::Health, name::Place};

/// Where one plugin is asked. Of proposers and scoring plugins there is one a place, of detectors one a
/// place and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    kind: PluginKind,
    place: Place,
    name: Option<String>,
}

impl Spot {
    pub(crate) fn new(kind: PluginKind, place: Place, name: &str) -> Self {
        Self {
            kind,
            place,
            name: (kind == PluginKind::Pii).then(|| name.to_owned()),
        }
    }

    pub(crate) fn kind(&self) -> PluginKind {
        self.kind
    }

    /// The detector's name; none for the other kinds.
    pub(crate) fn detector(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The spot that serves here when this one has no plugin of its own.
    fn everywhere(&self) -> Self {
        Self {
            place: Place::Host,
            ..self.clone()
        }
    }
}

/// What is to sit at a spot.
pub(crate) struct Filling {
    pub(crate) spot: Spot,
    /// The version that the catalogue says.
    pub(crate) plugin: PluginRef,
    pub(crate) health: Arc<Health>,
    /// What is asked: that version, or the one that sits in its place.
    pub(crate) answers: Plugin,
}

struct Seat {
    plugin: PluginRef,
    health: Arc<Health>,
    digest: String,
    slot: Slot,
}

/// The right to ask what serves at a spot, for one call.
pub(crate) struct Turn {
    /// The version that serves.
    pub(crate) plugin: PluginRef,
    pub(crate) health: Arc<Health>,
    pub(crate) lease: Lease,
}

/// All seats.
#[derive(Default)]
pub(crate) struct Table {
    seats: RwLock<BTreeMap<Spot, Seat>>,
}

impl Table {
    /// The turn of a call; none when nothing serves there.
    pub(crate) fn turn(&self, spot: &Spot) -> Option<Turn> {
        let seats = self.read();
        let seat = seats.get(spot).or_else(|| seats.get(&spot.everywhere()))?;
        Some(Turn {
            plugin: seat.plugin.clone(),
            health: Arc::clone(&seat.health),
            lease: seat.slot.lease(),
        })
    }

    /// Names of the detectors that look at a dataset, each with whether it is suspended.
    pub(crate) fn detectors(&self, dataset: &DatasetName) -> Vec<(String, bool)> {
        let here = Place::Dataset(dataset.clone());
        let mut found = BTreeMap::new();
        for (spot, seat) in self.read().iter() {
            let Some(name) = &spot.name else { continue };
            let is_suspended = seat.health.is_suspended();
            if spot.place == here {
                found.insert(name.clone(), is_suspended);
            } else if spot.place == Place::Host {
                found.entry(name.clone()).or_insert(is_suspended);
            }
        }
        found.into_iter().collect()
    }

    /// Where detectors look: everywhere, or at single datasets.
    pub(crate) fn detector_places(&self) -> BTreeSet<Place> {
        let seats = self.read();
        let detectors = seats.keys().filter(|spot| spot.name.is_some());
        detectors.map(|spot| spot.place.clone()).collect()
    }

    /// Seats what is wanted and nothing else. A seat that holds the same already is left alone.
    pub(crate) fn follow(&self, wanted: Vec<Filling>) -> Vec<Drain> {
        let mut drains = Vec::new();
        let mut renewed = BTreeSet::new();
        let mut seats = self.write();
        let mut before = std::mem::take(&mut *seats);
        for filling in wanted {
            let Filling {
                spot,
                plugin,
                health,
                answers,
            } = filling;
            let digest = answers.digest().to_owned();
            let slot = match before.remove(&spot) {
                Some(seat) if seat.plugin == plugin && seat.digest == digest => seat.slot,
                Some(seat) => {
                    drains.push(seat.slot.swap(answers));
                    seat.slot
                }
                None => {
                    renewed.insert(spot.everywhere());
                    Slot::new(answers)
                }
            };
            let seat = Seat {
                plugin,
                health,
                digest,
                slot,
            };
            seats.insert(spot, seat);
        }
        drains.extend(before.values().map(renew));
        drains.extend(renewed.iter().filter_map(|spot| seats.get(spot)).map(renew));
        drains
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Spot, Seat>> {
        self.seats.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Spot, Seat>> {
        self.seats.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Exchanges what sits there for itself, to be able to wait for the calls that run.
fn renew(seat: &Seat) -> Drain {
    let same = Plugin::clone(&seat.slot.lease());
    seat.slot.swap(same)
}
