//! What tests of this room share: a double in the place of the network.

use std::sync::Arc;

use async_trait::async_trait;
use boathouse_model_server::Double;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::{
    ModelName, ModelServer, ServerLimits,
    server::{Reply, Transport, TransportError},
};

pub(crate) fn name(text: &str) -> ModelName {
    ModelName::new(text).unwrap()
}

/// The client of a double, without a network between them.
pub(crate) fn over(double: &Double) -> ModelServer {
    let transport = Arc::new(InProcess(double.clone()));
    ModelServer::new(transport, ServerLimits::default())
}

/// Requests that stay in this process.
#[derive(Debug)]
struct InProcess(Double);

#[async_trait]
impl Transport for InProcess {
    fn address(&self) -> String {
        "http://double".to_owned()
    }

    async fn exchange(
        &self,
        path: &'static str,
        body: Option<Bytes>,
    ) -> Result<Reply, TransportError> {
        let (status, body) = self.0.call(path, body).await.map_err(TransportError)?;
        Ok(Reply {
            status,
            body: body.map_err(TransportError).boxed(),
        })
    }
}
