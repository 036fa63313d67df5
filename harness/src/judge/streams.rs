//! The models of the sub-streams of a conveyed operator.

use std::rc::Rc;
use std::sync::Arc;

use wavetank_oracle::Tables;
use wavetank_oracle::convey_worker::{Make, UnderWay, Worker};
use wavetank_scenarios::script::Keeps;
use wavetank_scenarios::topology::ActorId;
use wavetank_scenarios::{Schema, Script};

/// The model of a sub-stream of that operator.
///
/// # Errors
/// The operator has no model.
pub fn worker(
    script: &Arc<Script>,
    operator: usize,
    actor: ActorId,
    tables: &Tables,
    under_way: UnderWay,
) -> Result<Worker, String> {
    let settings = &script.scenario.operators[operator];
    let convey = settings.convey.as_ref().ok_or("it has no settings")?;
    let inputs: Vec<Schema> = script.topology.input_schemas(actor).into_iter().cloned().collect();
    let schema = inputs.first().cloned().unwrap_or_default();
    // Where all events of a state's key have the same values in the fields that they are dealt by, each of those values
    // can have an operator of its own.
    let by = match settings.body()?.keeps() {
        Keeps::Keys(kept) => convey.by.key().filter(|by| by.iter().all(|field| kept.contains(field))),
        Keeps::Nothing | Keeps::Windows(_) | Keeps::All => None,
    };
    let tick = script.scenario.time.tick;
    let (made, tables) = (Arc::clone(script), tables.clone());
    let make: Make = Rc::new(move || {
        let settings = &made.scenario.operators[operator];
        let inputs: Vec<&Schema> = inputs.iter().collect();
        let output = &made.topology.actors[actor.0 as usize].schema;
        wavetank_oracle::reference(settings, &inputs, Some(output), &tables, tick)
    });
    Worker::new(convey, by, &schema, make, under_way, tick)
}
