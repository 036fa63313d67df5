//! Where models stand that are asked by messages: beside each learner that asks a service, the service and the way there
//! and back.

use crate::schema::{Schema, StreamId};
use crate::topology::{ActorId, Builder, Role};

/// The name of the service of an operator, and of its node.
pub(crate) fn service_of(operator: &str) -> String {
    format!("{operator}.service")
}

impl Builder<'_> {
    /// The services of learners, each with a link from who asks and one back.
    pub(crate) fn services(&mut self) {
        for (index, operator) in self.scenario.operators.iter().enumerate() {
            let asks = operator.learn.as_ref().is_some_and(|learn| learn.service.is_some());
            let role = Role::Operator { operator: index };
            let asker = self.topology.actors.iter().position(|actor| actor.role == role);
            let Some(asker) = asker.filter(|_| asks) else {
                continue;
            };
            let (name, asker) = (service_of(&operator.name), ActorId(asker as u32));
            let node = self.node(&name, None);
            let stream = StreamId {
                name: name.as_str().into(),
                major: 1,
                minor: 0,
            };
            let service = self.actor(
                &name,
                Role::Service { operator: index },
                node,
                stream,
                Schema::default(),
            );
            self.control(asker, service);
            self.control(service, asker);
        }
    }
}
