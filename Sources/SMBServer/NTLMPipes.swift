import SMB2Wire
import SMBAuth
import SMBCrypto
import SMBServerCore
import Synchronization

/// RPC's own authentication by NTLM, bare or inside SPNEGO. [MS-RPCE] 2.2.1.1.7.
struct NTLMPipes: PipeSecurityMechanisms {
    let names: ServerNames

    func begin(_ mechanism: UInt8) -> (any PipeSecurityContext)? {
        switch mechanism {
        case RPCVerifier.Mechanism.ntlm, RPCVerifier.Mechanism.spnego: NTLMPipeContext(names: self.names)
        default: nil
        }
    }
}

/// Used under the server's lock only; the mutex is there because it may then be shared at all.
final class NTLMPipeContext: PipeSecurityContext {
    private struct State: ~Copyable {
        var authentication: ServerAuthentication
        var messages: NTLMMessageSecurity?
    }

    private let state: Mutex<State>

    var signatureByteCount: Int { NTLMMessageSecurity.signatureByteCount }

    init(names: ServerNames) {
        self.state = Mutex(State(authentication: ServerAuthentication(names: names), messages: nil))
    }

    func step(_ token: [UInt8], lookup: (String) -> [UInt8]?) -> PipeAuthentication {
        self.state.withLock { state in
            do throws(CryptoError) {
                let step = state.authentication.step(
                    token, lookup: { lookup($0).flatMap(NTHash.init(bytes:)) }, now: Clock.wall.ticks,
                    challenge: try Random.integer())
                switch step {
                case .challenge(let token): return .more(token: token)
                case .accepted(let identity, _, let token):
                    guard let context = state.authentication.securityContext else { return .refused }
                    state.messages = try NTLMMessageSecurity(context, isServer: true)
                    return .accepted(userName: identity.user, token: token)
                case .refused(let refusal):
                    Log.write("RPC authentication refused: \(refusal)")
                    return .refused
                }
            } catch {
                Log.write("RPC authentication: \(error)")
                return .refused
            }
        }
    }

    func protect(_ packet: inout [UInt8], sealing sealed: Range<Int>?) -> [UInt8]? {
        self.state.withLock { state in
            do throws(CryptoError) { return try state.messages?.protect(&packet, sealing: sealed) } catch {
                Log.write("RPC signature: \(error)")
                return nil
            }
        }
    }

    func open(_ packet: inout [UInt8], sealed: Range<Int>?, signature: [UInt8]) -> Bool {
        self.state.withLock { state in
            do throws(CryptoError) {
                return try state.messages?.open(&packet, sealed: sealed, signature: signature) ?? false
            } catch {
                Log.write("RPC signature: \(error)")
                return false
            }
        }
    }
}
