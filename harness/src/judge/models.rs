//! The naive model of each actor that has one.

use std::rc::Rc;
use std::sync::Arc;

use wavetank_oracle::Tables;
use wavetank_oracle::convey::Split;
use wavetank_oracle::convey_merge::Merge;
use wavetank_oracle::convey_worker::UnderWay;
use wavetank_oracle::waiting::Waiting;
use wavetank_oracle::watermark::Generator;
use wavetank_scenarios::Script;
use wavetank_scenarios::script::{Future, ValveSettings};
use wavetank_scenarios::topology::{ActorId, Role};

use super::lockstep::Model;
use super::streams;

/// Makes the models of a script, actor by actor in their order.
pub(super) struct Models<'a> {
    script: &'a Arc<Script>,
    tables: &'a Tables,
    /// What is under way among the sub-streams of one operator, which their models share.
    under_way: UnderWay,
}

impl<'a> Models<'a> {
    pub fn new(script: &'a Arc<Script>, tables: &'a Tables) -> Self {
        Self {
            script,
            tables,
            under_way: UnderWay::default(),
        }
    }

    /// The model of an actor, whose monotonic clock shows `entered` at the start.
    ///
    /// # Errors
    /// When an operator has none.
    pub fn of(&mut self, id: ActorId, entered: wavetank_scenarios::Time) -> Result<Option<Model>, String> {
        let (script, tables) = (self.script, self.tables);
        let topology = &script.topology;
        let actor = &topology.actors[id.0 as usize];
        Ok(match actor.role {
            Role::Operator { operator } => {
                let settings = &script.scenario.operators[operator];
                let inputs = topology.input_schemas(id);
                let reference = wavetank_oracle::reference(
                    settings,
                    &inputs,
                    Some(&actor.schema),
                    tables,
                    script.scenario.time.tick,
                )?;
                let waiting = Waiting::new(settings, script.scenario.time.tick);
                let inputs = topology.forward(id).count();
                Some(Model::operator(reference, waiting, inputs, settings.valve))
            }
            Role::Split { operator } => {
                let settings = &script.scenario.operators[operator];
                settings.convey.as_ref().map(|convey| {
                    let inputs = topology.input_schemas(id);
                    let schema = inputs.first().copied().cloned().unwrap_or_default();
                    Model::split(
                        Split::new(convey, &schema),
                        topology.forward(id).count(),
                        ValveSettings::default(),
                    )
                })
            }
            Role::Worker { operator, stream } => {
                if stream == 0 {
                    self.under_way = UnderWay::default();
                }
                let worker = streams::worker(script, operator, id, tables, Rc::clone(&self.under_way))?;
                Some(Model::worker(worker))
            }
            Role::Merge { operator } => {
                let settings = &script.scenario.operators[operator];
                settings.convey.as_ref().map(|convey| {
                    let merge = Merge::new(convey, script.scenario.time.tick);
                    let inputs = topology.forward(id).count();
                    Model::operator(Box::new(merge), Waiting::none(), inputs, ValveSettings::default())
                })
            }
            Role::Watermark { operator } => {
                let of = &script.scenario.operators[operator];
                of.generator().map(|settings| {
                    let (tick, links) = (script.scenario.time.tick, topology.forward(id).count());
                    let schemas = topology.input_schemas(id);
                    let model = Generator::new(settings, of.valve, links, tick, &schemas, &of.input);
                    let model = model.holding(of.future == Future::Hold);
                    Model::Generator {
                        model: Box::new(model),
                        entered,
                    }
                })
            }
            Role::Service { operator } => {
                let learn = script.scenario.operators[operator].learn.as_ref();
                let files = learn.into_iter().flat_map(|learn| &learn.pretrained);
                let models = files.filter_map(|file| Some(Arc::clone(&file.read.as_ref()?.model)));
                Some(Model::Service(models.collect()))
            }
            Role::Sink { .. } | Role::Source { .. } | Role::Broker { .. } => None,
            Role::Counter | Role::Coordinator | Role::Store => None,
            Role::Replica { .. } | Role::Arbiter { .. } | Role::Gate { .. } => None,
        })
    }
}
