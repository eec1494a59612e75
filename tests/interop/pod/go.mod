module portway.dev/interop/pod

go 1.26.0
