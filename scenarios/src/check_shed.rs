//! What is wrong with what nodes shed.

use crate::check::Checker;
use crate::suggest;
use crate::topology::Topology;

impl Checker<'_> {
    pub(crate) fn sheds(&mut self, topology: &Topology) {
        for (i, node) in self.scenario.nodes.iter().enumerate() {
            let Some(shed) = &node.shed else { continue };
            let at = |key: &str| format!("node[{i}].shed.{key}");
            if shed.above == 0 {
                let help = "1 is the smallest: shed while one waits".to_owned();
                self.say(
                    &at("above"),
                    "a node that sheds while nothing waits takes nothing",
                    help,
                );
            }
            let on_node = topology.nodes_named(&node.name);
            let mut actors = topology.actors.iter().filter(|actor| on_node.contains(&actor.node));
            if !on_node.is_empty() && !actors.any(|actor| !actor.inputs.is_empty()) {
                let help = "write it at the node of what the events go to".to_owned();
                self.say(
                    &at("above"),
                    "nothing comes to this node, so nothing is ever shed",
                    help,
                );
            }
            if shed.share.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
                let help = "0.5 sheds every other event, 1 all that come while too many wait".to_owned();
                self.say(&at("share"), "a share lies above 0 and not above 1", help);
            }
            if shed.priority.is_some() && (shed.share.is_some() || shed.by.is_some()) {
                let help = "leave `share` and `by` out, or `priority`".to_owned();
                let message = "with `priority` the event that is worth least is shed, whatever its key and share";
                self.say(&at("priority"), message, help);
            }
            if node.mailbox.is_some_and(|mailbox| mailbox < shed.above) {
                let help = "make `above` smaller than `mailbox`, or leave `shed` out".to_owned();
                self.say(
                    &at("above"),
                    "the mailbox is full before so many wait: nothing is ever shed",
                    help,
                );
            }
            let fields = [("by", &shed.by), ("priority", &shed.priority)];
            for (key, field) in fields
                .into_iter()
                .filter_map(|(key, field)| Some((key, field.as_ref()?)))
            {
                self.field_comes(&at(key), field, &node.name, topology);
            }
        }
    }

    /// Whether a field is in everything that comes to the actors of a node.
    fn field_comes(&mut self, path: &str, field: &str, node: &str, topology: &Topology) {
        let on_node = topology.nodes_named(node);
        let actors = topology.actors.iter().filter(|actor| on_node.contains(&actor.node));
        for actor in actors {
            for link in &actor.inputs {
                let link = &topology.links[link.0 as usize];
                let schema = &topology.actors[link.from.0 as usize].schema;
                // What is told to a counter or a store has no fields.
                if schema.names().next().is_some() && schema.slot(field).is_none() {
                    let message = format!("what comes by `{}` has no field `{field}`", link.name);
                    return self.say(path, message, suggest::help(field, schema.names()));
                }
            }
        }
    }
}
