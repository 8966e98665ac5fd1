---- MODULE DiskRaftMembership ----
(* DiskRaft.tla's protocol with every safeguard on, and the voters in the log: the quorum disk (3) is taken out and another   *)
(* one (4) comes in, one change at a time, as RaftNode+Membership.swift does it. Only node n writes area[d][n].               *)
(* Local durability comes first, so a crash loses nothing but the role. Between the nodes messages are atomic (SyncNet).      *)
EXTENDS Naturals, Sequences, FiniteSets, TLC
CONSTANTS MaxTerm, MaxLog, MaxCrash,
  OwnTermFirst,    \* TRUE: a leader changes the voters only once it has committed an entry of its own term
  OnePending,      \* TRUE: ... and only while no earlier change is uncommitted
  WipeOnlyRemoved, \* TRUE: a disk loses what it holds only after its removal is committed
  ReRead           \* TRUE: an append to a disk is followed by a look at the other node's ballot
Node == {1,2}
Disk == {3,4}
First == {1,2,3}
Other(n) == 3-n
VARIABLES term, voted, role, log, area, pc, aeLen, votes, match, ci, committed, elected, crashes
vars == <<term,voted,role,log,area,pc,aeLen,votes,match,ci,committed,elected,crashes>>
Idle == <<"idle",0>>
LastT(l) == IF Len(l)=0 THEN 0 ELSE l[Len(l)].t
UpTo(a,b) == \/ LastT(a) > LastT(b)
             \/ LastT(a) = LastT(b) /\ Len(a) >= Len(b)
Changes(l) == {i \in 1..Len(l) : l[i].v # {}}
LastChange(l) == IF Changes(l) = {} THEN 0 ELSE CHOOSE i \in Changes(l) : \A j \in Changes(l) : j <= i
Voters(l) == IF Changes(l) = {} THEN First ELSE l[LastChange(l)].v
Quorum(v, s) == 2 * Cardinality(s \cap v) > Cardinality(v)
Empty == [b |-> 0, log |-> <<>>]
Init ==
  /\ term = [n \in Node |-> 0] /\ voted = [n \in Node |-> 0] /\ role = [n \in Node |-> "F"]
  /\ log = [n \in Node |-> <<>>] /\ area = [d \in Disk |-> [n \in Node |-> Empty]]
  /\ pc = [n \in Node |-> Idle] /\ aeLen = [n \in Node |-> 0] /\ votes = [n \in Node |-> {}]
  /\ match = [n \in Node |-> [p \in Node \cup Disk |-> 0]] /\ ci = [n \in Node |-> 0]
  /\ committed = {} /\ elected = {} /\ crashes = 0

Timeout(n) ==
  /\ role[n] \in {"F","C"} /\ term[n] < MaxTerm /\ pc[n] = Idle
  /\ term' = [term EXCEPT ![n] = @+1] /\ voted' = [voted EXCEPT ![n] = n]
  /\ role' = [role EXCEPT ![n] = "C"] /\ votes' = [votes EXCEPT ![n] = {n}]
  /\ UNCHANGED <<log,area,pc,aeLen,match,ci,committed,elected,crashes>>

NodeVote(n) == LET o == Other(n) newer == term[n] > term[o] IN
  /\ role[n] = "C" /\ o \notin votes[n] /\ term[n] >= term[o] /\ pc[o] = Idle
  /\ LET g == (newer \/ voted[o] \in {0,n}) /\ UpTo(log[n],log[o])
     IN /\ (newer \/ g)
        /\ term' = [term EXCEPT ![o] = term[n]]
        /\ voted' = [voted EXCEPT ![o] = IF g THEN n ELSE IF newer THEN 0 ELSE @]
        /\ role' = [role EXCEPT ![o] = IF newer THEN "F" ELSE @]
        /\ votes' = [votes EXCEPT ![o] = IF newer THEN {} ELSE @, ![n] = IF g THEN @ \cup {o} ELSE @]
  /\ UNCHANGED <<log,area,pc,aeLen,match,ci,committed,elected,crashes>>

BecomeLeader(n) ==
  /\ role[n] = "C" /\ pc[n] = Idle /\ Quorum(Voters(log[n]), votes[n])
  /\ role' = [role EXCEPT ![n] = "L"] /\ elected' = elected \cup {<<term[n],n,crashes>>}
  /\ match' = [match EXCEPT ![n] = [p \in Node \cup Disk |-> 0]]
  /\ UNCHANGED <<term,voted,log,area,pc,aeLen,votes,ci,committed,crashes>>

Extend(n, v) ==
  /\ role[n] = "L" /\ Len(log[n]) < MaxLog
  /\ log' = [log EXCEPT ![n] = Append(@, [t |-> term[n], n |-> n, v |-> v])]
  /\ UNCHANGED <<term,voted,role,area,pc,aeLen,votes,match,ci,committed,elected,crashes>>

Propose(n) == Extend(n, {})

Change(n) ==
  /\ role[n] = "L"
  /\ OwnTermFirst => \E i \in 1..ci[n] : log[n][i].t = term[n]
  /\ OnePending => LastChange(log[n]) <= ci[n]
  /\ LET v == Voters(log[n]) IN Extend(n, IF v \cap Disk # {} THEN v \ Disk ELSE v \cup {4})

NodeAppend(n) == LET o == Other(n) IN
  /\ role[n] = "L" /\ term[n] >= term[o] /\ role[o] # "L" /\ pc[o] = Idle
  /\ (log[o] # log[n] \/ term[n] > term[o] \/ role[o] = "C" \/ match[n][o] < Len(log[n]) \/ ci[o] < ci[n])
  /\ log' = [log EXCEPT ![o] = log[n]]
  /\ term' = [term EXCEPT ![o] = term[n]] /\ voted' = [voted EXCEPT ![o] = IF term[n] > term[o] THEN 0 ELSE @]
  /\ role' = [role EXCEPT ![o] = "F"] /\ votes' = [votes EXCEPT ![o] = {}]
  /\ match' = [match EXCEPT ![n][o] = Len(log[n])] /\ ci' = [ci EXCEPT ![o] = ci[n]]
  /\ UNCHANGED <<area,pc,aeLen,committed,elected,crashes>>

DiskVoteWrite(n, d) ==
  /\ role[n] = "C" /\ pc[n] = Idle /\ d \in Voters(log[n]) /\ d \notin votes[n] /\ area[d][n].b < term[n]
  /\ area' = [area EXCEPT ![d][n].b = term[n]] /\ pc' = [pc EXCEPT ![n] = <<"rv",d>>]
  /\ UNCHANGED <<term,voted,role,log,aeLen,votes,match,ci,committed,elected,crashes>>

DiskVoteRead(n) == LET d == pc[n][2] IN
  /\ pc[n][1] = "rv" /\ pc' = [pc EXCEPT ![n] = Idle]
  /\ IF role[n] # "C" \/ area[d][Other(n)].b >= term[n] THEN UNCHANGED <<log,votes>>
     ELSE LET a == area[d][Other(n)].log
              c == IF UpTo(log[n], a) THEN log[n] ELSE a
          IN /\ log' = [log EXCEPT ![n] = IF UpTo(c, area[d][n].log) THEN c ELSE area[d][n].log]
             /\ votes' = [votes EXCEPT ![n] = @ \cup {d}]
  /\ UNCHANGED <<term,voted,role,area,aeLen,match,ci,committed,elected,crashes>>

\* Also to a disk that only learns: it is brought up to date before it votes, and need not be.
DiskAppendWrite(n, d) ==
  /\ role[n] = "L" /\ pc[n] = Idle /\ (match[n][d] < Len(log[n]) \/ area[d][n].b < term[n])
  /\ d \in Voters(log[n]) \/ (d = 4 /\ 3 \notin Voters(log[n]))
  /\ area' = [area EXCEPT ![d][n] = [b |-> term[n], log |-> log[n]]]
  /\ pc' = [pc EXCEPT ![n] = <<"ae",d>>] /\ aeLen' = [aeLen EXCEPT ![n] = Len(log[n])]
  /\ UNCHANGED <<term,voted,role,log,votes,match,ci,committed,elected,crashes>>

DiskAppendRead(n) == LET d == pc[n][2] b == area[d][Other(n)].b IN
  /\ pc[n][1] = "ae" /\ pc' = [pc EXCEPT ![n] = Idle]
  /\ IF role[n] # "L" THEN UNCHANGED <<role,term,voted,match>>
     ELSE IF ReRead /\ b > term[n]
     THEN /\ role' = [role EXCEPT ![n] = "F"] /\ term' = [term EXCEPT ![n] = b] /\ voted' = [voted EXCEPT ![n] = 0]
          /\ UNCHANGED match
     ELSE match' = [match EXCEPT ![n][d] = aeLen[n]] /\ UNCHANGED <<role,term,voted>>
  /\ UNCHANGED <<log,area,aeLen,votes,ci,committed,elected,crashes>>

Commit(n) == \E i \in 1..Len(log[n]) :
  /\ role[n] = "L" /\ log[n][i].t = term[n] /\ i > ci[n]
  /\ Quorum(Voters(log[n]), {n} \cup {p \in Node \cup Disk : match[n][p] >= i})
  /\ ci' = [ci EXCEPT ![n] = i]
  /\ committed' = committed \cup {<<j, log[n][j], term[n]>> :
       j \in {x \in 1..i : \A c \in committed : c[1] # x \/ c[2] # log[n][x]}}
  /\ UNCHANGED <<term,voted,role,log,area,pc,aeLen,votes,match,elected,crashes>>

Crash(n) ==
  /\ crashes < MaxCrash /\ crashes' = crashes+1
  /\ role' = [role EXCEPT ![n] = "F"] /\ votes' = [votes EXCEPT ![n] = {}] /\ pc' = [pc EXCEPT ![n] = Idle]
  /\ UNCHANGED <<term,voted,log,area,aeLen,match,ci,committed,elected>>

Wipe ==
  /\ WipeOnlyRemoved => \E c \in committed : c[2].v # {} /\ 3 \notin c[2].v
  /\ area[3] # [n \in Node |-> Empty]
  /\ area' = [area EXCEPT ![3] = [n \in Node |-> Empty]]
  /\ UNCHANGED <<term,voted,role,log,pc,aeLen,votes,match,ci,committed,elected,crashes>>

Next == \/ Wipe
        \/ \E n \in Node : \/ Timeout(n) \/ NodeVote(n) \/ BecomeLeader(n) \/ Propose(n) \/ Change(n) \/ NodeAppend(n)
             \/ DiskVoteRead(n) \/ DiskAppendRead(n) \/ Commit(n) \/ Crash(n)
             \/ \E d \in Disk : DiskVoteWrite(n,d) \/ DiskAppendWrite(n,d)
Spec == Init /\ [][Next]_vars

ElectionSafety == \A a,b \in elected : a[1]=b[1] => a=b
StateMachineSafety == \A a,b \in committed : a[1]=b[1] => a[2]=b[2]
LeaderCompleteness == \A n \in Node : role[n]="L" =>
   \A c \in committed : (c[3] < term[n]) => (Len(log[n]) >= c[1] /\ log[n][c[1]] = c[2])
LogMatching == \A i \in 1..MaxLog : (Len(log[1])>=i /\ Len(log[2])>=i /\ log[1][i]=log[2][i]) =>
     SubSeq(log[1],1,i)=SubSeq(log[2],1,i)
====
