//! `TreeModel`: from the root to the node whose predicates hold.

use super::PmmlError;
use super::models::{Outcome, Task};
use super::predicate::{PREDICATES, Predicate, read_child};
use super::scope::{Scope, Values};
use super::value::{DataType, Value};
use super::xml::Element;
use std::sync::Arc;

/// What happens when a predicate cannot be known.
#[derive(Debug, Clone, Copy, PartialEq)]
enum OnMissing {
    /// As if it did not hold.
    None,
    LastPrediction,
    NullPrediction,
    DefaultChild,
}

#[derive(Debug)]
struct Node {
    predicate: Predicate,
    id: Option<Arc<str>>,
    score: Option<Value>,
    distribution: Vec<(Arc<str>, f64)>,
    children: Vec<usize>,
    default_child: Option<usize>,
}

/// A decision tree.
#[derive(Debug)]
pub(super) struct Tree {
    /// The first is the root.
    nodes: Vec<Node>,
    on_missing: OnMissing,
    /// Without a child that holds: the last node's answer, or none.
    keep_last: bool,
}

impl Tree {
    pub(super) fn read(element: &Element, task: Task, scope: &Scope<'_>) -> Result<Self, PmmlError> {
        let on_missing = element.choice(
            "missingValueStrategy",
            &[
                ("none", OnMissing::None),
                ("lastPrediction", OnMissing::LastPrediction),
                ("nullPrediction", OnMissing::NullPrediction),
                ("defaultChild", OnMissing::DefaultChild),
            ],
        )?;
        let keep_last = element.choice(
            "noTrueChildStrategy",
            &[("returnNullPrediction", false), ("returnLastPrediction", true)],
        )?;
        let mut tree = Self {
            nodes: Vec::new(),
            on_missing,
            keep_last,
        };
        tree.add(element.need_child("Node")?, task, scope)?;
        Ok(tree)
    }

    fn add(&mut self, element: &Element, task: Task, scope: &Scope<'_>) -> Result<usize, PmmlError> {
        let mut understood = vec!["Node", "ScoreDistribution", "Partition"];
        understood.extend(PREDICATES);
        element.only(&understood)?;
        let kind = if task == Task::Regression {
            DataType::Double
        } else {
            DataType::Text
        };
        let mut score = element
            .attribute("score")
            .map(|text| kind.parse(text, element))
            .transpose()?;
        let distribution = distribution(element)?;
        if score.is_none() && task == Task::Classification {
            score = Outcome::classes(distribution.clone()).value;
        }
        let index = self.nodes.len();
        self.nodes.push(Node {
            predicate: read_child(element, scope)?,
            id: element.attribute("id").map(Arc::from),
            score,
            distribution,
            children: Vec::new(),
            default_child: None,
        });
        let wanted = element.attribute("defaultChild");
        for child in element.all("Node") {
            let added = self.add(child, task, scope)?;
            self.nodes[index].children.push(added);
            if wanted.is_some() && child.attribute("id") == wanted {
                self.nodes[index].default_child = Some(added);
            }
        }
        match wanted {
            Some(id) if self.nodes[index].default_child.is_none() => {
                Err(element.place.invalid(format!("there is no child `{id}`")))
            }
            _ => Ok(index),
        }
    }

    pub(super) fn ask(&self, values: &Values) -> Outcome {
        let mut at = 0;
        match self.nodes[0].predicate.holds(values) {
            Some(true) => {}
            None if self.on_missing == OnMissing::DefaultChild => {}
            Some(false) | None => return Outcome::default(),
        }
        loop {
            let node = &self.nodes[at];
            if node.children.is_empty() {
                return self.answer(at);
            }
            let mut next = None;
            for child in &node.children {
                match self.nodes[*child].predicate.holds(values) {
                    Some(true) => {
                        next = Some(*child);
                        break;
                    }
                    Some(false) => {}
                    None => match self.on_missing {
                        OnMissing::None => {}
                        OnMissing::LastPrediction => return self.answer(at),
                        OnMissing::NullPrediction => return Outcome::default(),
                        OnMissing::DefaultChild => match node.default_child {
                            Some(child) => {
                                next = Some(child);
                                break;
                            }
                            None => return Outcome::default(),
                        },
                    },
                }
            }
            match next {
                Some(child) => at = child,
                None if self.keep_last => return self.answer(at),
                None => return Outcome::default(),
            }
        }
    }

    fn answer(&self, node: usize) -> Outcome {
        let node = &self.nodes[node];
        Outcome {
            value: node.score.clone(),
            probabilities: node.distribution.clone(),
            entity: node.id.clone(),
            ..Outcome::default()
        }
    }
}

/// The classes of a node and their probabilities.
fn distribution(element: &Element) -> Result<Vec<(Arc<str>, f64)>, PmmlError> {
    let (mut classes, mut stated) = (Vec::new(), 0);
    for score in element.all("ScoreDistribution") {
        let count = score.need_number("recordCount")?;
        let probability = score.number("probability")?;
        stated += usize::from(probability.is_some());
        classes.push((Arc::from(score.need("value")?), probability.unwrap_or(count), count));
    }
    let total: f64 = classes.iter().map(|(_, _, count)| count).sum();
    if stated != 0 && stated != classes.len() {
        return Err(element
            .place
            .invalid("some <ScoreDistribution> have a `probability` and some have not"));
    }
    if stated == 0 && !classes.is_empty() && total <= 0.0 {
        return Err(element.place.invalid("the counts of <ScoreDistribution> are all 0"));
    }
    let share = |p: f64| if stated == 0 { p / total } else { p };
    Ok(classes.into_iter().map(|(class, p, _)| (class, share(p))).collect())
}
