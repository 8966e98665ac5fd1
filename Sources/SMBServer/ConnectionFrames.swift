import Glibc
import FileStore
import SMB2Wire
import SMBCompression
import SMBCrypto
import SMBServerCore

/// A frame whose replies wait for the journal or for a disk. It is protected only when it leaves.
final class HeldFrame {
    let number: UInt64
    /// From the transport's four bytes on.
    var writer: WireWriter
    var replies: [FrameReply]
    let encryptedFor: UInt64?
    /// The mutations up to here must be on stable storage.
    let ticket: UInt64
    /// What others are told must have left.
    var precedences: [Precedence] = []
    /// It is what others are told.
    var announcement: Announcement?
    /// A later message of the same compound waits silently, and the replies here with it: see `Outcome.waiting`.
    var awaited: UInt64?
    /// Flushes, copies and reads that are under way.
    var tasks: Int
    /// It must not overtake what was to be sent before it.
    var isOrdered = false
    /// The server speaks by itself: it overtakes what only waits for a disk; see `ClientConnection.release`.
    var isAnnouncement = false
    /// The frame whose request made the server speak to this very client: behind that one's answers in any case.
    var cause: UInt64?
    /// One of the replies may say what the client caches: a break of that must not be there before.
    /// [MS-SMB2] 3.3.5.9, 3.3.5.22.
    let tellsOfCaching: Bool
    /// See `Completion.needsDelivery`.
    var needsDelivery = false

    init(
        number: UInt64, writer: WireWriter, replies: [FrameReply], encryptedFor: UInt64?, ticket: UInt64, tasks: Int
    ) {
        self.number = number
        self.writer = writer
        self.replies = replies
        self.encryptedFor = encryptedFor
        self.ticket = ticket
        self.tasks = tasks
        self.tellsOfCaching = replies.contains {
            switch SMB2Command(rawValue: writer.span.load(UInt16.self, at: $0.start + SMB2Header.commandOffset)) {
            case .create, .oplockBreak: true
            default: false
            }
        }
    }

    func needsKeys(of session: UInt64) -> Bool {
        self.encryptedFor == session
            || self.replies.contains {
                switch $0.protection {
                case .sign(let signing): signing == session
                case .encrypt(let encrypting): encrypting == session
                case .none: false
                }
            }
    }
}

struct FrameReply {
    /// Where its SMB2 header and its end are in the writer.
    var start: Int
    var end: Int
    var protection: Protection
    var isCompressible = false
}

/// What a reply waits for on another thread.
private enum Task {
    case sync(OpenFile, includesName: Bool)
    case copy(CopyJob, OutstandingRequest?)
    case read(MissingRead)
}

/// Where a message stands in its frame.
private enum Place {
    case alone
    /// What follows in the compound may build on what this message does.
    case followed
    case last
}

private struct WantedTask {
    var task: Task
    var reply: Int
}

extension ClientConnection {
    /// Handles one frame: a message, a compound, or either of them encrypted. Returns why the connection must be closed.
    func handle(_ frame: UnsafeMutableRawBufferPointer, into writer: inout WireWriter) -> String? {
        var packet = frame
        var encryptedFor: UInt64?
        switch PacketKind(UnsafeRawBufferPointer(frame).bytes) {
        case .smb2: break
        case .encrypted:
            guard let session = TransformLayout.sessionID(of: UnsafeRawBufferPointer(frame)),
                let channel = self.security.channel(session)
            else { return "encrypted for an unknown session" }
            do throws(CryptoError) {
                packet = UnsafeMutableRawBufferPointer(rebasing: frame[try channel.open(frame)])
            } catch { return "decryption: \(error)" }
            encryptedFor = session
        case .smb1: return self.negotiateSMB1(frame, into: &writer)
        case .compressed: break
        case .unknown: return "no SMB2 message"
        }
        var inflated: ReceiveWindow?
        defer { if let inflated { self.loop.pool.giveBack(inflated) } }
        if PacketKind(UnsafeRawBufferPointer(packet).bytes) == .compressed {
            do throws(CompressionError) { (inflated, packet) = try self.inflate(packet) } catch {
                return "decompression: \(error)"
            }
        }
        let frameStart = writer.count
        writer.claim(DirectTCP.headerByteCount + (encryptedFor == nil ? 0 : TransformHeader.byteCount))
        let overhead = writer.count - frameStart
        var request = RequestFrame(connection: self.id, encryptedFor: encryptedFor)
        var replies: [FrameReply] = []
        var tasks: [WantedTask] = []
        var ticket: UInt64 = 0
        var precedences: [Precedence] = []
        var isAnnounced = false
        var awaited: UInt64?
        var at = 0
        while true {
            let rest = UnsafeMutableRawBufferPointer(rebasing: packet[at...])
            let header: SMB2Header
            let length: Int
            do throws(WireError) {
                header = try SMB2Header(parsing: UnsafeRawBufferPointer(rest).bytes)
                length = try header.messageLength(in: UnsafeRawBufferPointer(rest).bytes)
            } catch { return "\(error)" }
            request.isLast = header.nextCommand == 0
            let message = UnsafeMutableRawBufferPointer(rebasing: rest[..<length])
            if let last = replies.last { writer.align(to: 8, from: last.start) }
            let signature = self.check(message, header, request)
            var (outcome, conditions) = self.loop.server.withTicket(of: self.id) { state in
                state.process(UnsafeRawBufferPointer(message).bytes, &request, signature: signature, into: &writer)
            }
            func mustWait(for conditions: Server.Conditions) {
                ticket = max(ticket, conditions.ticket)
                if let precedence = conditions.precedence { precedences.append(precedence) }
                isAnnounced = isAnnounced || conditions.precedence != nil || conditions.isAnnouncedToRequester
            }
            mustWait(for: conditions)
            if case .authenticate(let authentication) = outcome {
                (outcome, conditions) = self.authenticate(authentication, message, into: &writer)
                mustWait(for: conditions)
            }
            switch outcome {
            case .reply(let reply):
                let place: Place = header.nextCommand != 0 ? .followed : replies.isEmpty ? .alone : .last
                for task in self.perform(reply, message, place, into: &writer) {
                    tasks.append(WantedTask(task: task, reply: replies.count))
                }
                if let last = replies.last {
                    writer.store(UInt32(reply.start - last.start), at: last.start + SMB2Header.nextCommandOffset)
                    replies[replies.count - 1].end = reply.start
                }
                replies.append(
                    FrameReply(
                        start: reply.start, end: writer.count, protection: reply.protection,
                        isCompressible: reply.isCompressible))
                if header.command == .negotiate {
                    self.negotiated(message, writer, reply.start)
                }
                // No frame can hold more, and nobody's compound may fill the memory.
                guard writer.count - frameStart <= DirectTCP.maximumLength - 8 else {
                    return "replies to a compound that no frame can hold"
                }
            case .silent: break
            case .waiting(let id): awaited = id
            case .authenticate: return "an authentication that leads to another"
            case .disconnect(let reason): return reason
            }
            guard header.nextCommand != 0 else { break }
            at += length
        }
        guard let last = replies.last else {
            writer.truncate(to: frameStart)
            // What the client sends next may already be answered in the knowledge of it.
            if isAnnounced { for mail in self.loop.deliverMail(butFor: self.id) { self.send(mail) } }
            return nil
        }
        writer.truncate(to: last.end)
        if replies.count > 1 {
            // As Windows does: also the last message of a compound ends on a multiple of 8.
            writer.align(to: 8, from: last.start)
            replies[replies.count - 1].end = writer.count
        }
        // To connections of this loop it leaves now, over this one behind this frame.
        let own = isAnnounced ? self.loop.deliverMail(butFor: self.id) : []
        var number: UInt64?
        defer { for mail in own { self.send(mail, causedBy: number) } }
        precedences.removeAll { $0.isOver }
        guard ticket > self.loop.journaled || !tasks.isEmpty || !precedences.isEmpty || awaited != nil else {
            return self.finish(frameStart, overhead, replies, encryptedFor, &writer)
        }
        number = self.hold(frameStart, replies, encryptedFor, ticket, precedences, awaited, tasks, &writer)
        return nil
    }

    private func check(
        _ message: UnsafeMutableRawBufferPointer, _ header: SMB2Header, _ frame: RequestFrame
    ) -> SignatureCheck {
        guard frame.encryptedFor == nil, header.isSigned else { return .absent }
        let session = header.isRelated && frame.canRelate ? frame.sessionID : header.sessionID
        guard let channel = self.security.channel(session) else {
            return header.command == .sessionSetup ? self.checkVisitor(message, session: session) : .noKey
        }
        return channel.isSigned(message) ? .valid : .invalid
    }

    // MARK: Work

    /// Does what the reply claims was done. Returns what other threads must do before it leaves.
    private func perform(
        _ reply: Reply, _ message: UnsafeMutableRawBufferPointer, _ place: Place, into writer: inout WireWriter
    ) -> [Task] {
        defer { withExtendedLifetime(reply.outstanding) {} }
        do throws(FileError) {
            switch reply.work {
            case .none: return []
            case .read(let handle, let offset, let length, let minimum):
                let missing = try self.read(
                    handle, offset: offset, length: length, minimum: minimum, at: reply.start,
                    isAlone: place == .alone, into: &writer)
                return missing.map { [.read($0)] } ?? []
            case .write(let handle, let offset, let data, let isDurable):
                let file = OpenFile.of(handle)
                try file.write(UnsafeRawBufferPointer(rebasing: message[data]), at: offset)
                return isDurable ? [.sync(file, includesName: false)] : []
            case .sync(let handle, let includesName):
                return [.sync(OpenFile.of(handle), includesName: includesName)]
            case .settle(let deleted): return deleted.map { .sync(OpenFile.of($0), includesName: true) }
            case .copy(let job):
                guard place == .followed else { return [.copy(job, reply.outstanding)] }
                ServerState.settleCopy(job.answer, job.run(), at: reply.start, isLast: true, into: &writer)
                return []
            }
        } catch {
            Log.write("\(error)")
            ServerState.replaceReply(at: reply.start, status: error.status, isLast: true, into: &writer)
            return []
        }
    }

    // MARK: Finishing

    /// Signs, compresses, encrypts, and writes the transport's length. Returns why that failed.
    private func finish(
        _ start: Int, _ overhead: Int, _ replies: [FrameReply], _ encryptedFor: UInt64?, _ writer: inout WireWriter
    ) -> String? {
        for reply in replies {
            self.loop.server.inspect(
                NTStatus(rawValue: writer.span.load(UInt32.self, at: reply.start + SMB2Header.statusOffset)))
        }
        do throws(CryptoError) {
            if let session = encryptedFor {
                guard let channel = self.security.channel(session) else { return "no key to encrypt with" }
                self.compress(replies, &writer)
                let end = writer.count
                try writer.withUnsafeMutableBytes(in: start + DirectTCP.headerByteCount..<end) {
                    bytes throws(CryptoError) in try channel.seal(bytes, session: session)
                }
            } else {
                for reply in replies {
                    guard case .sign(let session) = reply.protection else { continue }
                    let flags = writer.span.load(UInt32.self, at: reply.start + SMB2Header.flagsOffset)
                    writer.store(flags | SMB2Header.Flags.signed.rawValue, at: reply.start + SMB2Header.flagsOffset)
                    // Of a session that is not known here there is no key. Its refusal still says that it would be
                    // signed: clients that insist on signatures take nothing else, and expect none that fits.
                    guard let channel = self.security.signer(session) else { continue }
                    try writer.withUnsafeMutableBytes(in: reply.start..<reply.end) { bytes throws(CryptoError) in
                        try channel.sign(bytes)
                    }
                }
                self.compress(replies, &writer)
            }
        } catch { return "protecting a reply: \(error)" }
        writer.store(
            DirectTCP.header(length: writer.count - start - DirectTCP.headerByteCount), at: start)
        return nil
    }

    // MARK: Waiting

    /// Returns the frame's number.
    private func hold(
        _ start: Int, _ replies: [FrameReply], _ encryptedFor: UInt64?, _ ticket: UInt64, _ precedences: [Precedence],
        _ awaited: UInt64?, _ tasks: [WantedTask], _ writer: inout WireWriter
    ) -> UInt64 {
        var own = WireWriter(capacity: writer.count - start)
        own.append(writer.span.extracting(start..<writer.count))
        writer.truncate(to: start)
        let frame = HeldFrame(
            number: self.nextFrame, writer: own,
            replies: replies.map {
                FrameReply(
                    start: $0.start - start, end: $0.end - start, protection: $0.protection,
                    isCompressible: $0.isCompressible)
            },
            encryptedFor: encryptedFor, ticket: ticket, tasks: tasks.count)
        frame.precedences = precedences
        frame.awaited = awaited
        self.nextFrame += 1
        self.held.append(frame)
        // Also where it has just become stable: it was not when the frame had to be held, and nothing else looks at it again.
        if ticket > 0 { self.loop.awaitJournal(ticket) }
        for precedence in precedences { precedence.tell(self.loop, self.id) }
        for wanted in tasks { self.submit(wanted.task, frame, reply: wanted.reply) }
        return frame.number
    }

    private func submit(_ task: Task, _ frame: HeldFrame, reply: Int) {
        let waiter = FrameWaiter(loop: self.loop, connection: self.id, frame: frame.number, reply: reply)
        switch task {
        case .sync(let file, let includesName):
            self.loop.server.syncs.submit(file, includesName: includesName) { waiter.loop.post(.synced(waiter, $0)) }
        case .copy(let job, let outstanding):
            let isTaken = self.loop.server.copies.submit {
                let result = withExtendedLifetime(outstanding) { job.run() }
                waiter.loop.post(.copied(waiter, job.answer, result))
            }
            guard !isTaken else { return }
            let refused = CopyResult(status: .insuffServerResources, pieces: 0, byteCount: 0)
            waiter.loop.post(.copied(waiter, job.answer, refused))
        case .read(let missing): self.fetch(missing, waiter)
        }
    }

    /// A flush that a frame waits for is done, or failed.
    func synced(_ waiter: FrameWaiter, _ status: NTStatus) {
        self.finishTask(waiter) { start, isLast, writer in
            guard status.isError else { return }
            ServerState.replaceReply(at: start, status: status, isLast: isLast, into: &writer)
        }
    }

    /// A copy that a frame waits for has ended.
    func copied(_ waiter: FrameWaiter, _ answer: CopyJob.Answer, _ result: CopyResult) {
        self.finishTask(waiter) { start, isLast, writer in
            ServerState.settleCopy(answer, result, at: start, isLast: isLast, into: &writer)
        }
    }

    func finishTask(
        _ waiter: FrameWaiter, _ settle: (_ start: Int, _ isLast: Bool, _ writer: inout WireWriter) -> Void
    ) {
        guard let frame = self.held.first(where: { $0.number == waiter.frame }) else { return }
        frame.tasks -= 1
        let isLast = waiter.reply == frame.replies.count - 1
        settle(frame.replies[waiter.reply].start, isLast, &frame.writer)
        if isLast { frame.replies[waiter.reply].end = frame.writer.count }
        self.release()
    }

    func journaled() {
        if !self.held.isEmpty { self.release() }
    }

    /// Sends the held frames that wait for nothing any more.
    func release() {
        guard !self.isParsing else {
            self.mustRelease = true
            return
        }
        var ready: [HeldFrame] = []
        var waiting: [HeldFrame] = []
        // One that waits for a break is in nobody's way: that very break may go over this connection.
        var isBehindAnother = false
        // What only waits for a disk (a FLUSH, a copy, a READ) does not keep a break back: the disk may need longer than the
        // client has to acknowledge it, and that time runs already. [MS-SMB2] 3.3.2.1, 3.3.2.5.
        var isAnnouncementBehind = false
        for frame in self.held {
            let isSettled = frame.ticket <= self.loop.journaled && frame.precedences.allSatisfy { $0.isOver }
            let mustStay: Bool
            if frame.isAnnouncement {
                mustStay =
                    isAnnouncementBehind
                    || waiting.contains { $0.number == frame.cause && $0.awaited == nil }
            } else {
                mustStay = frame.isOrdered && isBehindAnother
            }
            guard frame.awaited == nil, frame.tasks == 0, isSettled, !mustStay else {
                waiting.append(frame)
                guard frame.awaited == nil else { continue }
                isBehindAnother = true
                isAnnouncementBehind =
                    isAnnouncementBehind || !isSettled || frame.tellsOfCaching && !frame.isAnnouncement
                continue
            }
            ready.append(frame)
        }
        guard !ready.isEmpty else { return }
        self.held = waiting
        var failure: String?
        self.sendNow { writer in
            for frame in ready {
                let start = writer.count
                writer.append(frame.writer.span)
                let moved = frame.replies.map {
                    FrameReply(
                        start: $0.start + start, end: $0.end + start, protection: $0.protection,
                        isCompressible: $0.isCompressible)
                }
                failure = failure ?? self.finish(start, 0, moved, frame.encryptedFor, &writer)
            }
        }
        if let failure { return self.close(failure) }
        self.watchDelivery(of: ready.count { $0.needsDelivery })
        self.resumeIfStopped()
        if self.loop.isFrozen { self.loop.reportIfQuiet() }
    }

    /// An asynchronous request ends, or the server speaks by itself.
    ///
    /// - Parameter cause: the held frame that it must stay behind, see `HeldFrame.cause`.
    func send(_ mail: Mail, causedBy cause: UInt64? = nil) {
        let completion = mail.completion
        if let id = completion.answers {
            for frame in self.held where frame.awaited == id { frame.awaited = nil }
        }
        var encryptedFor: UInt64?
        if case .encrypt(let session) = completion.protection { encryptedFor = session }
        var own = WireWriter(capacity: completion.message.count + 64)
        own.claim(DirectTCP.headerByteCount + (encryptedFor == nil ? 0 : TransformHeader.byteCount))
        let start = own.count
        own.append(completion.message)
        var request = completion.request
        let tasks = request.withUnsafeMutableBytes { message in
            self.perform(
                Reply(
                    start: start, protection: completion.protection, work: completion.work,
                    outstanding: completion.outstanding), message,
                completion.continuation == nil ? .alone : .followed, into: &own)
        }
        if let id = completion.continuation {
            self.loop.server.withState(from: self.loop) { $0.continueCompound(id) }
        }
        let frame = HeldFrame(
            number: self.nextFrame, writer: own,
            replies: [FrameReply(start: start, end: own.count, protection: completion.protection)],
            encryptedFor: encryptedFor, ticket: mail.ticket, tasks: tasks.count)
        frame.announcement = mail.announcement
        // The interim response of what this answers may still wait for its announcements.
        frame.isOrdered = completion.isOrdered || self.held.contains { !$0.precedences.isEmpty }
        frame.isAnnouncement = completion.isAnnouncement
        frame.cause = cause
        frame.needsDelivery = completion.needsDelivery
        self.nextFrame += 1
        self.held.append(frame)
        if mail.ticket > self.loop.journaled { self.loop.awaitJournal(mail.ticket) }
        if let precedence = mail.precedence, !precedence.isOver {
            frame.precedences = [precedence]
            precedence.tell(self.loop, self.id)
        }
        for task in tasks { self.submit(task, frame, reply: 0) }
        self.release()
    }
}
