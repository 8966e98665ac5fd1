import ClusterPlatform
import Glibc

// The LUN as one file: started by clusterd only, which hands down the FUSE descriptor and a control socket.

func descriptor(_ name: String) -> Int32? {
    let arguments = CommandLine.arguments
    guard let index = arguments.firstIndex(of: name), index + 1 < arguments.count else { return nil }
    return Int32(arguments[index + 1])
}

func complain(_ text: String) {
    let line = Array("lunbridge: \(text)\n".utf8)
    _ = write(2, line, line.count)
}

let usage = "this is started by clusterd: lunbridge --fuse-descriptor N --control-descriptor N"

if CommandLine.arguments.contains("--help") {
    print(usage)
    exit(0)
}

guard CommandLine.arguments.count == 5, let fuse = descriptor("--fuse-descriptor"),
    let control = descriptor("--control-descriptor"), let configuration = Bridge.receiveConfiguration(control)
else {
    complain(usage)
    exit(BridgeExit.usage.rawValue)
}

let bridge = Bridge(configuration, fuse: fuse, control: control)
do {
    try prepareBlockServer()
} catch {
    // Without it memory pressure can stop the node; that it works until then is better than not at all.
    complain(error.message)
}
exit(bridge.run().rawValue)
