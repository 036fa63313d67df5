//! Links: the way from one actor to another.
//!
//! A *stream* is first in, first out; its elements are numbered, acknowledged and sent again, so that loss, corruption
//! and disorder of packets show as delay, and copies are recognised and dropped. Of a *datagram* link what the network
//! does is what arrives. All that befalls a packet is decided when it is sent, from keyed draws and declared periods, so
//! an arrival is an instant in the fabric from the start.

use std::collections::VecDeque;

use wavetank_scenarios::distribution::Sampler;
use wavetank_scenarios::draw::{DrawKey, name_key};
use wavetank_scenarios::script::{LinkKind, OnCrash};
use wavetank_scenarios::topology::{self, ActorId, LinkId};
use wavetank_scenarios::{Event, EventId, Span, Time};

use crate::element::Element;

/// A packet on its way, as the network sees it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The link.
    pub link: LinkId,
    /// The key of the producer's name, or of the link's own for elements that are no events.
    pub producer: u64,
    /// The event's number, or the how-manieth such element of the link.
    pub number: u64,
    /// The how-manieth try, from 0.
    pub attempt: u32,
    /// When it leaves.
    pub departs: Time,
    /// The event, if it carries one.
    pub event: Option<&'a Event>,
}

/// What the network does to a packet. Faults are named by their index in the scenario.
#[derive(Debug, Default)]
pub struct Transit {
    /// It is lost.
    pub lost: bool,
    /// Nothing passes the link before this; [`Time::MAX`] for never.
    pub cut_until: Option<Time>,
    /// It waits on the way until this.
    pub held_until: Option<Time>,
    /// It takes this much longer.
    pub extra: Span,
    /// It may be overtaken, even where packets keep their order.
    pub displaced: bool,
    /// Copies arrive too, each this much later.
    pub copies: Vec<Span>,
    /// This arrives in its place.
    pub corrupted: Option<Event>,
    /// It arrives, but no acknowledgement comes back before this.
    pub unacknowledged_until: Option<Time>,
    /// The faults that fired.
    pub fired: Vec<usize>,
}

impl Transit {
    fn clear(&mut self) {
        self.copies.clear();
        self.fired.clear();
        let (copies, fired) = (std::mem::take(&mut self.copies), std::mem::take(&mut self.fired));
        *self = Self {
            copies,
            fired,
            ..Self::default()
        };
    }
}

/// What becomes of a watermark that an operator is about to pass on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meddling {
    /// It is not passed on.
    Swallow,
    /// It is passed on twice.
    Repeat,
    /// It is passed on this much later.
    Delay(Span),
    /// It is passed on before what it stands behind.
    Hasten,
}

/// What the declared faults do to links, and to what operators pass on. Implemented by the harness, which makes the waves.
pub trait Network {
    /// False for links that no fault is declared on: they are not asked again.
    fn disturbs(&self, link: LinkId) -> bool;
    /// Elements per second that a fault lets through at an instant, and which fault.
    fn bandwidth(&self, link: LinkId, at: Time) -> Option<(f64, usize)>;
    /// What becomes of a packet.
    fn transit(&mut self, packet: Packet<'_>, transit: &mut Transit);
    /// False for actors that no fault is declared in: they are not asked about.
    fn meddles(&self, _: ActorId) -> bool {
        false
    }
    /// What becomes of the `number`-th watermark (or other mark) of an actor, and by which fault.
    fn meddle(&mut self, _actor: ActorId, _number: u64, _at: Time) -> Option<(usize, Meddling)> {
        None
    }
}

/// A network that does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct CalmNetwork;

impl Network for CalmNetwork {
    fn disturbs(&self, _: LinkId) -> bool {
        false
    }
    fn bandwidth(&self, _: LinkId, _: Time) -> Option<(f64, usize)> {
        None
    }
    fn transit(&mut self, _: Packet<'_>, _: &mut Transit) {}
}

/// What a link has done so far, in elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkCounts {
    /// Put on the link by its sender.
    pub sent: u64,
    /// Brought to the receiver.
    pub delivered: u64,
    /// Lost on the way.
    pub lost: u64,
    /// Sent again by a stream.
    pub resent: u64,
    /// Copies that arrived on a datagram link.
    pub copies: u64,
    /// Copies that a stream recognised and dropped.
    pub copies_dropped: u64,
    /// Arrivals that came before one that was sent earlier.
    pub overtaken: u64,
    /// Arrived changed.
    pub corrupted: u64,
    /// Lost with the crash of their receiver while they were on the way.
    pub lost_in_crash: u64,
    /// Never to arrive: behind a partition that does not heal, or for a node that does not come back.
    pub stuck: u64,
}

/// What comes of sending one packet.
pub(crate) enum Shipped {
    /// A fault fires, on this event if the packet carries one.
    Fault(usize, Option<EventId>),
    /// This arrives then.
    Arrives(Time, Element),
}

/// An element that is due at the far end of a link.
#[derive(Debug)]
pub(crate) struct Arriving {
    pub link: LinkId,
    pub lane: usize,
    pub element: Element,
    /// Incarnation of the receiver's node when it was sent.
    pub incarnation: u32,
    /// When it was put on the link.
    pub sent: Time,
    /// The number of the last marker that was put on the link before it; of a marker, its own.
    pub epoch: u64,
    /// In which recovery it was sent; `None` from those whom none sets back.
    pub attempt: Option<u32>,
}

/// A link at work.
#[derive(Debug)]
pub(crate) struct Link {
    pub from: ActorId,
    pub to: ActorId,
    pub input: usize,
    pub lane: usize,
    pub kind: LinkKind,
    pub on_crash: OnCrash,
    pub capacity: Option<u32>,
    /// The receiver holds the sender back.
    pub held: bool,
    /// Elements sent and not yet taken from the receiver's mailbox.
    pub unacknowledged: u32,
    /// Elements that wait for the receiver's node to come back.
    pub parked: VecDeque<Arriving>,
    /// Elements that wait for room in the receiver's mailbox.
    pub blocked: VecDeque<Arriving>,
    pub counts: LinkCounts,
    pub batch: Option<u32>,
    pub linger: Option<Span>,
    /// The number of the last marker that was put on the link.
    pub epoch: u64,
    /// In which recovery its sender works, where it is set back.
    pub attempt: Option<u32>,
    /// A lost marker is sent again, on a datagram link too.
    pub resends_markers: bool,
    /// Elements that wait for their batch to be full.
    pub waiting: Vec<(usize, Element)>,
    pub batches: u64,
    id: LinkId,
    disturbed: bool,
    fifo: bool,
    delay: Option<(Sampler, DrawKey)>,
    bandwidth: Option<f64>,
    resend: Span,
    free_at: Time,
    last_arrival: Time,
    latest_arrival: Time,
    name: u64,
    serial: u64,
}

/// After this many tries a stream's packet is taken for one that never arrives.
const MOST_TRIES: u32 = 10_000;

impl Link {
    pub fn new(id: LinkId, link: &topology::Link, seed: u64, disturbed: bool) -> Self {
        let settings = &link.settings;
        let key = || DrawKey::new(seed, "link", "delay", &link.name);
        let delay = settings.delay.as_ref().map(|delay| (delay.sampler(), key()));
        let stream = settings.kind == LinkKind::Stream;
        Self {
            from: link.from,
            to: link.to,
            input: link.input,
            lane: link.listed,
            kind: settings.kind,
            on_crash: settings
                .on_crash
                .unwrap_or(if stream { OnCrash::Redirect } else { OnCrash::Lost }),
            capacity: settings.capacity.filter(|_| stream),
            held: false,
            unacknowledged: 0,
            parked: VecDeque::new(),
            blocked: VecDeque::new(),
            counts: LinkCounts::default(),
            batch: settings.batch,
            linger: settings.linger,
            epoch: 0,
            attempt: None,
            resends_markers: false,
            waiting: Vec::new(),
            batches: 0,
            id,
            disturbed,
            fifo: stream || settings.fifo,
            delay,
            bandwidth: settings.bandwidth,
            resend: settings.resend.max(Span::UNIT),
            free_at: Time::MIN,
            last_arrival: Time::MIN,
            latest_arrival: Time::MIN,
            name: name_key(&link.name),
            serial: 0,
        }
    }

    /// True when the sender must stop until the receiver has taken something, or lets it go.
    pub fn saturated(&self) -> bool {
        self.held || self.capacity.is_some_and(|capacity| self.unacknowledged >= capacity)
    }

    /// Sends one packet at `now`, and tells every fault that fires and every arrival.
    pub fn ship(
        &mut self,
        element: Element,
        now: Time,
        producers: &[u64],
        network: &mut dyn Network,
        transit: &mut Transit,
        mut tell: impl FnMut(Shipped),
    ) {
        self.counts.sent += 1;
        if element == Element::End {
            // The end is not a packet: it is known when everything else has arrived.
            tell(Shipped::Arrives(now.max(self.latest_arrival), element));
            return;
        }
        let mut departs = now;
        let slow = if self.disturbed {
            network.bandwidth(self.id, now)
        } else {
            None
        };
        if let Some(rate) = slow.map(|(rate, _)| rate).or(self.bandwidth) {
            let start = now.max(self.free_at);
            departs = start + Span::from_secs_f64(1.0 / rate);
            self.free_at = departs;
            if let Some((_, fault)) = slow {
                tell(Shipped::Fault(fault, element.event().map(|event| event.id)));
            }
        }
        let (producer, number) = match element.event() {
            Some(event) => (producers[event.id.producer.0 as usize], event.id.number),
            None => {
                self.serial += 1;
                (self.name, self.serial)
            }
        };
        if !self.disturbed {
            let arrival = self.in_order(departs + self.draw_delay(producer, number, 0));
            tell(Shipped::Arrives(arrival, element));
            return;
        }
        let stream = self.kind == LinkKind::Stream;
        let mut attempt = 0;
        loop {
            transit.clear();
            let packet = Packet {
                link: self.id,
                producer,
                number,
                attempt,
                departs,
                event: element.event(),
            };
            network.transit(packet, transit);
            for fault in &transit.fired {
                tell(Shipped::Fault(*fault, element.event().map(|event| event.id)));
            }
            let cut = transit.cut_until.filter(|until| *until > departs);
            let lost = cut.is_some() || transit.lost || (stream && transit.corrupted.is_some());
            if !lost {
                break;
            }
            let again = stream || (self.resends_markers && matches!(element, Element::Epoch(_)));
            if !again {
                self.counts.lost += 1;
                return;
            }
            attempt += 1;
            if cut == Some(Time::MAX) || attempt >= MOST_TRIES {
                self.counts.stuck += 1;
                return;
            }
            self.counts.resent += 1;
            departs += self.resend;
            if let Some(until) = cut {
                // Every try up to then is lost too; the next one that is not leaves on the same grid.
                let missing = until.since(departs).micros().max(0);
                departs += Span::from_micros(
                    (missing as u64).div_ceil(self.resend.micros() as u64) as i64 * self.resend.micros(),
                );
            }
        }
        let mut arrival = departs + self.draw_delay(producer, number, attempt) + transit.extra;
        arrival = arrival.max(transit.held_until.unwrap_or(Time::MIN)).max(departs);
        if let Some(until) = transit.unacknowledged_until.filter(|until| stream && *until > arrival) {
            let again = until.since(arrival).micros() as u64 / self.resend.micros() as u64;
            self.counts.resent += again;
            self.counts.copies_dropped += again;
        }
        if transit.displaced && !stream {
            self.latest_arrival = self.latest_arrival.max(arrival);
            self.counts.overtaken += u64::from(arrival < self.last_arrival);
        } else {
            arrival = self.in_order(arrival);
        }
        let element = match (transit.corrupted.take(), element) {
            (Some(changed), Element::Event(_)) => {
                self.counts.corrupted += 1;
                Element::Event(Box::new(changed))
            }
            (_, element) => element,
        };
        for gap in &transit.copies {
            if stream {
                self.counts.copies_dropped += 1;
            } else {
                self.counts.copies += 1;
                let copy = arrival + *gap;
                self.latest_arrival = self.latest_arrival.max(copy);
                tell(Shipped::Arrives(copy, element.clone()));
            }
        }
        tell(Shipped::Arrives(arrival, element));
    }

    fn draw_delay(&self, producer: u64, number: u64, attempt: u32) -> Span {
        match &self.delay {
            Some((sampler, key)) => sampler.sample(&mut key.rng(producer, number, attempt)).max(Span::ZERO),
            None => Span::ZERO,
        }
    }

    fn in_order(&mut self, arrival: Time) -> Time {
        let arrival = if self.fifo {
            arrival.max(self.last_arrival)
        } else {
            self.counts.overtaken += u64::from(arrival < self.last_arrival);
            arrival
        };
        self.last_arrival = self.last_arrival.max(arrival);
        self.latest_arrival = self.latest_arrival.max(arrival);
        arrival
    }
}
