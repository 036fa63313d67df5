//! What two copies of an operator may publish, told over plain lists.
//!
//! The story in other words than theirs. One machine alone would put out one list; its items have places, from 1. Each
//! copy writes that list for itself. Only who leads lets anything out, and does so at once: at the end of a step in which
//! it leads nothing that it has written and that receivers lack is left inside. What it lets out first begins no later than behind what every
//! receiver has (where only published results are forgotten: behind what somebody has let out), so what is pending goes
//! first and in order. A receiver takes each place once, and nothing from who comes with an older number than one that it
//! has seen.
//!
//! Nothing here knows of leases, heartbeats or messages; who leads is told from outside.

use std::collections::{BTreeMap, BTreeSet};

/// The settings that the story depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// What has been published may be forgotten; otherwise only what every receiver has confirmed.
    pub forgets_published: bool,
    /// Older tokens are refused.
    pub fenced: bool,
    /// What a receiver has had it takes again.
    pub repeats_pass: bool,
}

/// One item of a list: which list, and where in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Which output, from 0.
    pub output: usize,
    /// The place, from 1.
    pub place: u64,
}

/// Something that must not be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// Where.
    pub at: Place,
    /// What should be there.
    pub expected: String,
    /// What was.
    pub came: String,
}

impl Wrong {
    fn at(output: usize, place: u64, expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self {
            at: Place { output, place },
            expected: expected.into(),
            came: came.into(),
        }
    }
}

/// By output how far a copy had written the list, and its own items.
type Saved<T> = (Vec<u64>, BTreeMap<(usize, u64), T>);

/// What one copy has done.
#[derive(Clone, Debug)]
struct Copy<T> {
    leads: bool,
    /// By output: how far it has written the list; `None` after a crash, before it has been set back.
    written: Option<Vec<u64>>,
    /// Items that are other ones than the first who came to their place wrote.
    own: BTreeMap<(usize, u64), T>,
    /// By output: the place of what it let out last; `None` before it has said where it begins.
    out: Vec<Option<u64>>,
}

/// A receiver's books.
#[derive(Clone, Debug)]
struct Receiver {
    output: usize,
    /// The largest token seen.
    token: u64,
    /// The places that it has: all up to the first, and these.
    had: Option<u64>,
    more: BTreeSet<u64>,
    /// By copy: under which token it lets out, and the place of its last item.
    links: [Option<(u64, u64)>; 2],
}

/// Two copies and their receivers.
#[derive(Clone, Debug)]
pub struct Publication<T> {
    terms: Terms,
    /// By output: what has been written, by who came to each place first.
    lists: Vec<Vec<T>>,
    copies: [Copy<T>; 2],
    receivers: Vec<Receiver>,
    /// By cut: how far who made it had written, and its own items.
    cuts: BTreeMap<u64, Saved<T>>,
    /// By output: the largest place that anybody has let out.
    furthest: Vec<u64>,
}

impl<T: Clone + PartialEq> Publication<T> {
    /// Two copies with so many outputs, and for each receiver the output that it reads.
    pub fn new(terms: Terms, outputs: usize, receivers: &[usize]) -> Self {
        let copy = || Copy {
            leads: false,
            written: Some(vec![0; outputs]),
            own: BTreeMap::new(),
            out: vec![None; outputs],
        };
        let receiver = |output: &usize| Receiver {
            output: *output,
            token: 0,
            had: Some(0),
            more: BTreeSet::new(),
            links: [None; 2],
        };
        Self {
            terms,
            lists: vec![Vec::new(); outputs],
            copies: [copy(), copy()],
            receivers: receivers.iter().map(receiver).collect(),
            cuts: BTreeMap::new(),
            furthest: vec![0; outputs],
        }
    }

    fn item(&self, side: usize, output: usize, place: u64) -> Option<&T> {
        let own = self.copies[side].own.get(&(output, place));
        own.or_else(|| self.lists[output].get(usize::try_from(place.checked_sub(1)?).ok()?))
    }

    /// A copy has written one more item.
    pub fn writes(&mut self, side: usize, output: usize, what: T) {
        let Some(written) = &mut self.copies[side].written else {
            return;
        };
        written[output] += 1;
        let place = written[output];
        let list = &mut self.lists[output];
        if place > list.len() as u64 {
            list.push(what);
        } else if list[place as usize - 1] != what {
            self.copies[side].own.insert((output, place), what);
        }
    }

    /// A copy leads from now on, or leads no longer.
    pub fn leads(&mut self, side: usize, leads: bool) {
        self.copies[side].leads = leads;
        self.copies[side].out.fill(None);
    }

    /// A copy has lost everything.
    pub fn crashes(&mut self, side: usize) {
        self.leads(side, false);
        self.copies[side].written = None;
    }

    /// A copy has saved how far it has come.
    pub fn cut(&mut self, side: usize, number: u64) {
        if let Some(written) = &self.copies[side].written {
            self.cuts
                .insert(number, (written.clone(), self.copies[side].own.clone()));
        }
    }
    /// Whether anybody has.
    pub fn knows(&self, number: u64) -> bool {
        self.cuts.contains_key(&number)
    }

    /// A copy begins again where somebody saved, or at the beginning.
    pub fn begins(&mut self, side: usize, number: Option<u64>) {
        let beginning = || (vec![0; self.lists.len()], BTreeMap::new());
        let (written, own) = match number {
            Some(number) => match self.cuts.get(&number) {
                Some(cut) => cut.clone(),
                None => return,
            },
            None => beginning(),
        };
        let copy = &mut self.copies[side];
        copy.own = own;
        copy.own.retain(|(output, place), _| *place <= written[*output]);
        copy.written = Some(written);
    }

    /// A copy says on an output that what follows begins behind a place.
    ///
    /// # Errors
    /// It begins further on than it may.
    pub fn announces(&mut self, side: usize, output: usize, behind: u64) -> Result<(), Wrong> {
        let copy = &self.copies[side];
        if !copy.leads {
            return Err(Wrong::at(
                output,
                behind,
                "nothing: this copy does not lead",
                "the begin of a publication",
            ));
        }
        if copy.out[output] == Some(behind) {
            return Ok(());
        }
        let may = self.needless(output);
        self.copies[side].out[output] = Some(behind);
        match may {
            Some(may) if behind > may => Err(Wrong::at(
                output,
                may + 1,
                "a begin behind what all receivers have",
                format!("a begin behind place {behind}"),
            )),
            _ => Ok(()),
        }
    }

    /// Up to which place nobody need let anything out any more; `None` where that cannot be told.
    fn needless(&self, output: usize) -> Option<u64> {
        if self.terms.forgets_published {
            return Some(self.furthest[output]);
        }
        let readers = self.receivers.iter().filter(|receiver| receiver.output == output);
        readers.filter_map(|receiver| receiver.had).min()
    }

    /// A copy lets an item out.
    ///
    /// # Errors
    /// It must not, or it is not the item whose turn it is.
    pub fn lets_out(&mut self, side: usize, output: usize, what: &T) -> Result<(), Wrong> {
        let Some(out) = self.copies[side].out[output].as_mut() else {
            return Err(Wrong::at(
                output,
                0,
                "nothing: this copy does not lead, or has not said where it begins",
                "a result",
            ));
        };
        *out += 1;
        let place = *out;
        self.furthest[output] = self.furthest[output].max(place);
        match self.item(side, output, place) {
            Some(item) if item == what => Ok(()),
            Some(_) => {
                let came = self.where_is(side, output, what);
                Err(Wrong::at(output, place, format!("the result of place {place}"), came))
            }
            None if self.copies[side].written.is_none() => Ok(()),
            None => Err(Wrong::at(
                output,
                place,
                "nothing: no such result has been made",
                "a result",
            )),
        }
    }

    fn where_is(&self, side: usize, output: usize, what: &T) -> String {
        let written = self.lists[output].len() as u64;
        match (1..=written).find(|place| self.item(side, output, *place) == Some(what)) {
            Some(place) => format!("the result of place {place}"),
            None => "something that has no place".into(),
        }
    }

    /// A step of a copy is over.
    ///
    /// # Errors
    /// It leads, and has kept something back.
    pub fn step_over(&self, side: usize) -> Result<(), Wrong> {
        let copy = &self.copies[side];
        let Some(written) = copy.written.as_ref().filter(|_| copy.leads) else {
            return Ok(());
        };
        for (output, written) in written.iter().enumerate() {
            // An output that nobody reads is not published.
            if !self.receivers.iter().any(|receiver| receiver.output == output) {
                continue;
            }
            let out = copy.out[output].unwrap_or(0).max(self.needless(output).unwrap_or(0));
            if out < *written {
                let expected = format!("everything up to place {written} is published");
                return Err(Wrong::at(
                    output,
                    out + 1,
                    expected,
                    format!("nothing behind place {out}"),
                ));
            }
        }
        Ok(())
    }

    /// A receiver is told what follows on the link of a copy.
    pub fn hears(&mut self, receiver: usize, side: usize, token: u64, behind: u64) {
        let fenced = self.terms.fenced;
        let receiver = &mut self.receivers[receiver];
        receiver.links[side] = Some((token, behind));
        if fenced && token < receiver.token {
            return;
        }
        receiver.token = receiver.token.max(token);
        let had = receiver.had.unwrap_or(behind).max(behind);
        receiver.had = Some(had);
        receiver.more.retain(|place| *place > had);
    }

    /// An item reaches a receiver: whether it must pass.
    pub fn passes(&mut self, receiver: usize, side: usize) -> bool {
        let Terms {
            fenced, repeats_pass, ..
        } = self.terms;
        let receiver = &mut self.receivers[receiver];
        let Some((token, last)) = &mut receiver.links[side] else {
            return !(fenced && receiver.token > 0);
        };
        *last += 1;
        if fenced && *token < receiver.token {
            return false;
        }
        let place = *last;
        let new = receiver.had.is_none_or(|had| place > had) && receiver.more.insert(place);
        while let Some(had) = receiver.had
            && receiver.more.remove(&(had + 1))
        {
            receiver.had = Some(had + 1);
        }
        new || repeats_pass
    }

    /// A receiver has lost its books.
    pub fn forgets(&mut self, receiver: usize) {
        let receiver = &mut self.receivers[receiver];
        (receiver.token, receiver.had, receiver.links) = (0, None, [None; 2]);
        receiver.more.clear();
    }

    /// The place of the last item that came to a receiver from a copy, for those who say what was wrong with it.
    pub fn place_of(&self, receiver: usize, side: usize) -> Place {
        let receiver = &self.receivers[receiver];
        let place = receiver.links[side].map_or(0, |(_, last)| last);
        Place {
            output: receiver.output,
            place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        forgets_published: false,
        fenced: true,
        repeats_pass: false,
    };

    fn wrote(letters: &str) -> Publication<char> {
        let mut told = Publication::new(TERMS, 1, &[0]);
        for letter in letters.chars() {
            told.writes(0, 0, letter);
            told.writes(1, 0, letter);
        }
        told
    }
    fn leads(told: &mut Publication<char>, side: usize, token: u64, behind: u64) -> Result<(), Wrong> {
        told.leads(side, true);
        told.announces(side, 0, behind)?;
        told.hears(0, side, token, behind);
        Ok(())
    }
    fn out(told: &mut Publication<char>, side: usize, letter: char) -> Result<bool, Wrong> {
        told.lets_out(side, 0, &letter)?;
        Ok(told.passes(0, side))
    }

    #[test]
    fn a_b_c_d_the_secondary_publishes_c_before_d() {
        let mut told = wrote("ABC");
        leads(&mut told, 0, 1, 0).unwrap();
        assert_eq!((out(&mut told, 0, 'A'), out(&mut told, 0, 'B')), (Ok(true), Ok(true)));
        told.crashes(0);
        leads(&mut told, 1, 2, 2).unwrap();
        assert_eq!(told.step_over(1).unwrap_err().at.place, 3, "C is pending");
        let mut early = told.clone();
        early.writes(1, 0, 'D');
        assert_eq!(
            out(&mut early, 1, 'D').unwrap_err(),
            Wrong::at(0, 3, "the result of place 3", "the result of place 4")
        );
        assert_eq!(out(&mut told, 1, 'C'), Ok(true));
        told.step_over(1).unwrap();
        told.writes(1, 0, 'D');
        assert_eq!(out(&mut told, 1, 'D'), Ok(true));
    }

    #[test]
    fn who_does_not_lead_publishes_nothing() {
        let mut told = wrote("AB");
        assert!(told.announces(1, 0, 0).is_err());
        assert!(told.lets_out(1, 0, &'A').is_err());
    }

    #[test]
    fn what_is_published_twice_left_out_or_in_another_order_is_named_by_its_place() {
        for (letters, wrong) in [("AAB", 2), ("AC", 2), ("BA", 1)] {
            let mut told = wrote("ABC");
            leads(&mut told, 0, 1, 0).unwrap();
            let first = letters.chars().find_map(|letter| out(&mut told, 0, letter).err());
            assert_eq!(first.map(|wrong| wrong.at.place), Some(wrong), "{letters}");
        }
        let mut told = wrote("ABC");
        leads(&mut told, 0, 1, 0).unwrap();
        out(&mut told, 0, 'A').unwrap();
        assert_eq!(told.step_over(0).unwrap_err().at.place, 2);
        assert_eq!(leads(&mut told, 1, 2, 3).unwrap_err().at.place, 2, "B has not come");
    }

    #[test]
    fn a_receiver_takes_each_place_once_and_nothing_under_an_old_token() {
        let mut told = wrote("ABCD");
        leads(&mut told, 0, 1, 0).unwrap();
        assert_eq!([out(&mut told, 0, 'A'), out(&mut told, 0, 'B')], [Ok(true), Ok(true)]);
        leads(&mut told, 1, 2, 1).unwrap();
        assert_eq!([out(&mut told, 1, 'B'), out(&mut told, 1, 'C')], [Ok(false), Ok(true)]);
        assert_eq!(out(&mut told, 0, 'C'), Ok(false), "an old token");
        let mut open = told.clone();
        open.terms.fenced = false;
        assert_eq!(out(&mut open, 0, 'D'), Ok(true), "nobody asks for tokens");
        open.terms.repeats_pass = true;
        assert_eq!(out(&mut open, 1, 'D'), Ok(true));
    }

    #[test]
    fn a_copy_that_is_set_back_writes_the_list_on_from_there() {
        let mut told = wrote("ABC");
        told.cut(0, 7);
        told.writes(0, 0, 'D');
        told.crashes(1);
        told.begins(1, Some(7));
        told.writes(1, 0, 'D');
        leads(&mut told, 1, 1, 0).unwrap();
        for letter in "ABCD".chars() {
            assert_eq!(out(&mut told, 1, letter), Ok(true));
        }
        told.step_over(1).unwrap();
        told.begins(0, None);
        told.writes(0, 0, 'X');
        leads(&mut told, 0, 2, 0).unwrap();
        assert_eq!(
            out(&mut told, 0, 'X'),
            Ok(false),
            "its own, at a place that has been had"
        );
    }
}
