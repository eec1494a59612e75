use std::future::Future;

use portway_proto::Port;

use crate::{
    ConnectError, Connector, Forward, HttpConnector, InvalidServer, ListenError, Listening,
    Mapping, Net, Options, Runtime,
};

/// The verbs of portway, on every runtime that has a network.
pub trait PortForward: Runtime + Net {
    /// Opens local ports that lead into the pod. They are open when this returns, also if the pod
    /// cannot be reached: that is then an error of the connection that tries.
    ///
    /// # Errors
    /// A local port could not be opened.
    fn listen<C: Connector>(
        &self,
        connector: C,
        mappings: impl IntoIterator<Item = Mapping, IntoIter: Send> + Send,
        options: Options,
    ) -> impl Future<Output = Result<Listening, ListenError>> + Send {
        let mappings = mappings.into_iter().collect();
        crate::listen::listen(self.clone(), connector, mappings, options)
    }

    /// Opens one session with a stream for each port, in process.
    ///
    /// # Errors
    /// The pod could not be found or reached, or the ports cannot be asked for.
    fn forward<C: Connector>(
        &self,
        connector: C,
        ports: &[Port],
        options: Options,
    ) -> impl Future<Output = Result<Forward, ConnectError>> + Send {
        let (runtime, ports) = (self.clone(), ports.to_vec());
        async move { crate::forward::forward(runtime, connector, &ports, &options).await }
    }

    /// A connector to one pod behind an API server in plain HTTP, such as `http://127.0.0.1:8001`.
    ///
    /// # Errors
    /// The address of the server cannot be used.
    fn http(
        &self,
        server: &str,
        namespace: &str,
        pod: &str,
    ) -> Result<HttpConnector<Self>, InvalidServer> {
        HttpConnector::new(self.clone(), server, namespace, pod)
    }
}

impl<T: Runtime + Net> PortForward for T {}
