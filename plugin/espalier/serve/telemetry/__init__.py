"""What an operator can see: numbers in shared memory, and who reads them.

``families``    every metric there is, in one table
``page``        the numbers of one worker, in memory that the supervisor holds
``meters``      what is measured of a completion
``sampler``     what is looked up once a second instead of being counted
``gauges``      what the supervisor knows without asking anybody
``exposition``  the text that Prometheus reads
``listener``    where it reads it, and health over HTTP
``calls``       what is measured of a call
``tracing``     which calls are traced, and what is noted of them
``spans``       spans of OpenTelemetry made of that, in workers
``otlp``        the same numbers as OpenTelemetry wants them

A worker writes into its page and the supervisor reads it, neither waits for the other,
and a successor goes on where its predecessor ended: numbers never go back.
"""
