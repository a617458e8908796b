/* replay.pml: capture, load, replay and drain of one table (docs/protocol.md). What each name stands for in the program is in
 * docs/model.md; messages begin with the step or failpoint of that name.
 *
 * The source has rows, users whose transactions hold locks and commit or roll back, and a record: an entry gets its place when
 * its statement runs and is seen when its transaction commits, so that entries become visible late and in any order. The
 * target has rows, a ledger line for each range (a range is one key here), an epoch and the number of the last batch. Each
 * transaction of the target, and each Forget, is one step that happens whole or not at all. We may die between any two
 * steps; what we had sent may still happen later (a zombie): one commit of a range, one apply, one Forget.
 *
 * The property: when drain has found the record empty with the gate shut and nobody writing, the target is the source, and
 * stays so. A second one: nothing is ever stuck.
 *
 * Each rule can be taken away by a definition, and then the checker must find the loss:
 *   NO_SETTLE       the load begins before transactions have ended that began before capture               C6
 *   NO_PROVE        drain begins while a transaction still writes                                            C14
 *   WATERMARK       the largest place is remembered instead of forgetting exactly what was read             C1
 *   FORGET_UPTO     everything up to the largest place of the batch is forgotten                            C1
 *   FORGET_FIRST    entries are forgotten before the target has committed                                   C8
 *   NO_FENCE        commits of an older epoch are not refused                                               C3
 *   STALE_ROWS      rows are read in a snapshot that is older than the entries                              C2
 *   NEW_KEY_ONLY    a change of a key notes only the new one                                                C4
 *   EARLY           replay does not wait for the load; the load overwrites                                  C5
 *   EARLY_IGNORE    the same, and the load leaves out what is there                                         C5
 *   LEDGER_FIRST    a range's ledger line is committed before its rows                                      C16
 *   LEDGER_TWICE    a second ledger line of a range is not refused                                          C3
 *   LANES           two lanes take any key; with BY_KEY each has its own, which must hold                   C2
 *   EMPTY_REPLAYED  a truncation is replayed as one; with EMPTY_REREAD every key is read again, which must hold   C11
 *   AHEAD           the next batch is taken while the one before it is applied: must hold
 *   AHEAD_PASSES    the same, and the two may be applied in any order
 *   AHEAD_OVERLAPS  the same as AHEAD, but it may take entries of the batch before it, and that one's Forget: must hold too
 */
#ifndef KEYS
#define KEYS 2
#endif
#ifndef TXNS
#define TXNS 2            /* of all users together */
#endif
#ifndef WRITES
#define WRITES 1          /* a transaction */
#endif
#ifndef ENTRIES
#define ENTRIES 3
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifdef AHEAD_PASSES
#define AHEAD
#endif
#ifdef AHEAD_OVERLAPS
#define AHEAD
#endif
#define NOTE_EMPTIED KEYS
#define BIT(i) (1<<(i))
#define ALLKEYS (BIT(KEYS)-1)

byte src[KEYS], dirty[KEYS], lockedBy[KEYS];     /* lockedBy: 0 nobody, else the user plus one */
byte tgt[KEYS]; bool line[KEYS];                 /* line: the range is in the ledger */
byte entryKey[ENTRIES], entry[ENTRIES], entryOf[ENTRIES];
#define FREE 0
#define WRITTEN 1
#define SEEN 2
#define FORGOTTEN 3
byte entries, txns, deaths, epoch, mark;         /* mark: WATERMARK's memory */
bool busy[2], older[2];                          /* older: the transaction began before capture was there */
bool capture, loading, shut, drained;

/* What a process that died has sent and that may still happen. */
bool lateRange[KEYS]; byte lateRow[KEYS];
byte lateStage, lateKeys, lateBatch, lateEpoch, lateImage[KEYS];   /* lateStage: 0 none, 1 before apply, 2 before forget */

#define each(v,n,body) v=0; do :: v<n -> body; v++ :: else -> break od; v=0

inline forget(set) { each(i,entries, if :: (set & BIT(i)) && entry[i]==SEEN -> entry[i]=FORGOTTEN; entryKey[i]=0 :: else fi) }

/* ---- the application ---- */
inline note(k) { if :: capture && !older[u] -> entryKey[entries]=k; entry[entries]=WRITTEN; entryOf[entries]=u; entries++ :: else fi }
#define mayLock(k) (lockedBy[k]==0 || lockedBy[k]==u+1)
#define seenBy(k) (lockedBy[k]==0 -> src[k] : dirty[k])
inline lock(k) { if :: lockedBy[k]==0 -> dirty[k]=src[k]; lockedBy[k]=u+1 :: else fi }
#define WRITE(q) atomic { n<WRITES && entries<ENTRIES && mayLock(q) -> lock(q); \
    if :: dirty[q]==0 -> dirty[q]=1 :: dirty[q]!=0 -> dirty[q]=3-dirty[q] :: dirty[q]!=0 -> dirty[q]=0 fi; \
    note(q); n++; printf("user %d: writes key %d := %d\n",u,q,dirty[q]) }
#ifdef NEW_KEY_ONLY
#define noteOld(k) skip
#else
#define noteOld(k) note(k)
#endif
#define MOVEKEY(a,b) atomic { n<WRITES && entries+1<ENTRIES && mayLock(a) && mayLock(b) && seenBy(a)!=0 && seenBy(b)==0 -> \
    lock(a); lock(b); dirty[b]=dirty[a]; dirty[a]=0; note(b); noteOld(a); n++; printf("user %d: changes key %d to %d\n",u,a,b) }

proctype User(byte u) {
  byte n, k, i;
  do
  :: atomic { !shut && txns<TXNS && (u==0 || txns>0) -> txns++; busy[u]=true; older[u]=!capture; n=0; printf("user %d: begins\n",u) };
     do
     :: WRITE(0)
     :: WRITE(1)
     :: MOVEKEY(0,1)
     :: MOVEKEY(1,0)
#if KEYS>2
     :: WRITE(2)
     :: MOVEKEY(1,2)
     :: MOVEKEY(2,0)
#endif
#if defined(EMPTY_REPLAYED) || defined(EMPTY_REREAD)
     :: atomic { n==0 && entries<ENTRIES && lockedBy[0]==0 && lockedBy[1]==0 ->
          each(k,KEYS, lockedBy[k]=u+1; dirty[k]=0); note(NOTE_EMPTIED); n++; printf("user %d: truncates\n",u) }
#endif
     :: n>0 || older[u] -> break
     :: n==0 && !older[u] && entries==ENTRIES -> break
     od;
     atomic {
       if
       :: each(k,KEYS, if :: lockedBy[k]==u+1 -> src[k]=dirty[k]; lockedBy[k]=0; dirty[k]=0 :: else fi);
          each(i,entries, if :: entry[i]==WRITTEN && entryOf[i]==u -> entry[i]=SEEN; entryOf[i]=0 :: else fi);
          printf("user %d: commits, source %d %d\n",u,src[0],src[1])
       :: n>0 -> each(k,KEYS, if :: lockedBy[k]==u+1 -> lockedBy[k]=0; dirty[k]=0 :: else fi);
          each(i,entries, if :: entry[i]==WRITTEN && entryOf[i]==u -> entry[i]=FORGOTTEN; entryOf[i]=0; entryKey[i]=0 :: else fi);
          printf("user %d: rolls back\n",u)
       fi;
       busy[u]=false; older[u]=false; n=0 }
  :: shut || txns==TXNS -> break
  od
}

/* ---- load-uptime: a range is one key ---- */
proctype Load(byte r) {
  byte image;
  (loading);
again:
  if :: line[r] -> goto in :: else fi;
  atomic { image=src[r]; printf("load: range %d reads %d\n",r,image) };
  if :: skip
     :: atomic { deaths<DEATHS -> deaths++; printf("load: dies\n");
          if :: true :: !lateRange[r] -> lateRange[r]=true; lateRow[r]=image fi; image=0; goto again }
  fi;
#ifdef LEDGER_FIRST
  atomic { line[r]=true; printf("load: range %d in the ledger\n",r) };
  if :: skip :: atomic { deaths<DEATHS -> deaths++; image=0; printf("load: dies\n"); goto again } fi;
  atomic { tgt[r]=image; printf("load: range %d rows\n",r) };
#else
  atomic { if :: line[r] -> skip :: else ->        /* the second line of a range is refused, and its rows with it */
#ifdef EARLY_IGNORE
       if :: tgt[r]==0 -> tgt[r]=image :: else fi;
#else
       tgt[r]=image;
#endif
       line[r]=true; printf("load.commit: range %d\n",r);
#ifndef LEDGER_TWICE
       lateRange[r]=false; lateRow[r]=0             /* whatever is late can only be refused now */
#endif
     fi };
#endif
in: image=0
}

/* ---- what was sent by processes that died ---- */
proctype Late() {
  byte i, k;
end: do
  :: d_step { lateRange[0] || lateRange[1] -> if :: lateRange[0] -> k=0 :: else -> k=1 fi; lateRange[k]=false;
#ifdef LEDGER_TWICE
       tgt[k]=lateRow[k]; line[k]=true;
#else
       if :: !line[k] -> tgt[k]=lateRow[k]; line[k]=true :: else fi;
#endif
       printf("late: commit of range %d\n",k); lateRow[k]=0; k=0 }
  :: d_step { lateStage==1 -> printf("late: apply\n");
#ifndef NO_FENCE
       if :: lateEpoch!=epoch -> lateStage=0; lateBatch=0 :: else ->
#endif
          each(k,KEYS, if :: lateKeys & BIT(k) -> tgt[k]=lateImage[k] :: else fi); lateStage=2
#ifndef NO_FENCE
       fi
#endif
       ; each(k,KEYS, lateImage[k]=0); lateKeys=0; lateEpoch=0 }
  :: d_step { lateStage==2 -> printf("late: forget\n"); forget(lateBatch); lateStage=0; lateBatch=0 }
  od
}

/* ---- replay ---- */
#ifdef WATERMARK
#define unread(i) (i>=mark)
#else
#define unread(i) true
#endif
#if defined(LANES) && defined(BY_KEY)
#define mine(i) (entryKey[i]%2==lane)
#else
#define mine(i) true
#endif
#define TAKEABLE(i) (i<entries && entry[i]==SEEN && unread(i) && mine(i) && !(without & BIT(i)))
#define T3 (TAKEABLE(0)||TAKEABLE(1)||TAKEABLE(2))
#if ENTRIES==3
#define ANY T3
#define behind(i) ((i<1&&TAKEABLE(1))||(i<2&&TAKEABLE(2)))
#else
#define ANY (T3||TAKEABLE(3))
#define behind(i) ((i<1&&TAKEABLE(1))||(i<2&&TAKEABLE(2))||(i<3&&TAKEABLE(3)))
#endif

/* take: any non-empty set of the entries that are seen, whatever its order, and then the rows of their keys, each in its own step,
 * which is weaker than any database's snapshot. */
inline take() {
#ifdef STALE_ROWS
  d_step { each(k,KEYS, old[k]=src[k]) };
#endif
  atomic { i=0; batch=0; keys=0; top=0;
    do
    :: i<entries ->
       if
       :: TAKEABLE(i) -> batch=batch|BIT(i); keys=keys|(entryKey[i]==NOTE_EMPTIED -> ALLKEYS : BIT(entryKey[i])); top=i+1
       :: TAKEABLE(i) && (batch!=0 || behind(i)) -> skip
       :: !TAKEABLE(i) -> skip
       fi; i++
    :: else -> break
    od; i=0; have=0; printf("lane %d: replay.taken entries %d keys %d\n",lane,batch,keys) };
  do
  :: atomic { have!=keys -> if :: (keys&1) && !(have&1) -> k=0 :: else -> if :: (keys&2) && !(have&2) -> k=1 :: else -> k=2 fi fi;
#ifdef STALE_ROWS
       image[k]=old[k];
#else
       image[k]=src[k];
#endif
       have=have|BIT(k); k=0 }
  :: have==keys -> break
  od;
  have=0
}

inline die() {
  deaths++; printf("lane %d: dies at stage %d\n",lane,stage);
  if :: true
     :: lateStage==0 && stage>=1 -> lateStage=stage; lateBatch=now; lateEpoch=mine_;
        if :: stage==1 -> lateKeys=nowKeys; each(k,KEYS, lateImage[k]=nowImage[k]) :: else fi
  fi;
  now=0; nowKeys=0; next=0; nextKeys=0; without=0; have=0; stage=0; k=0; i=0; top=0; last=0; each(k,KEYS, nowImage[k]=0; nextImage[k]=0)
}
#define MAYDIE if :: skip :: atomic { deaths<DEATHS -> die(); goto takeover } fi

proctype Lane(byte lane) {
  byte now, nowKeys, next, nextKeys, batch, keys, without, have, i, k, top, last, stage, mine_; byte nowImage[KEYS], nextImage[KEYS], image[KEYS];
#ifdef STALE_ROWS
  byte old[KEYS];
#endif
#if !defined(EARLY) && !defined(EARLY_IGNORE)
  (line[0] && line[1]);
#endif
takeover:
#if !defined(NO_FENCE) && !defined(LANES)
  atomic { epoch++; mine_=epoch; if :: lateStage==1 -> lateStage=0; lateBatch=0; lateKeys=0; lateEpoch=0; each(k,KEYS, lateImage[k]=0) :: else fi };
#endif
  do
  :: (ANY || next!=0) && !drained ->
     if
     :: next==0 -> take(); d_step { now=batch; nowKeys=keys; each(k,KEYS, nowImage[k]=image[k]; image[k]=0); batch=0; keys=0; last=top; top=0 }
     :: else -> atomic { now=next; nowKeys=nextKeys; each(k,KEYS, nowImage[k]=nextImage[k]; nextImage[k]=0); next=0; nextKeys=0 }
     fi;
     MAYDIE;
#ifdef AHEAD
     /* The rows of the batch behind are read at the earliest: whatever happens later in the program happens between two steps here. */
#ifndef AHEAD_OVERLAPS
     without=now;
#endif
     if :: ANY -> take(); d_step { next=batch; nextKeys=keys; each(k,KEYS, nextImage[k]=image[k]; image[k]=0); batch=0; keys=0; top=0 } :: skip fi;
     without=0;
     MAYDIE;
#endif
     stage=1;
#ifdef AHEAD_PASSES
     if :: next!=0 -> d_step { i=now; now=next; next=i; i=nowKeys; nowKeys=nextKeys; nextKeys=i;
             each(k,KEYS, top=nowImage[k]; nowImage[k]=nextImage[k]; nextImage[k]=top); i=0; top=0; printf("lane %d: the batch behind goes first\n",lane) }
        :: skip fi;
#endif
#ifdef FORGET_FIRST
     d_step { forget(now) };
#endif
     MAYDIE;
     d_step {
#ifdef EMPTY_REPLAYED
       each(i,entries, if :: (now & BIT(i)) && entryKey[i]==NOTE_EMPTIED -> each(k,KEYS, tgt[k]=0) :: else fi);
       nowKeys=0; each(i,entries, if :: (now & BIT(i)) && entryKey[i]!=NOTE_EMPTIED -> nowKeys=nowKeys|BIT(entryKey[i]) :: else fi);
#endif
       each(k,KEYS, if :: nowKeys & BIT(k) -> tgt[k]=nowImage[k] :: else fi); each(k,KEYS, nowImage[k]=0); nowKeys=0; stage=2;
       printf("lane %d: replay.apply, target %d %d\n",lane,tgt[0],tgt[1]) };
     MAYDIE;
     d_step {
#ifdef WATERMARK
       if :: last>mark -> mark=last :: else fi;
#else
#ifdef FORGET_UPTO
       each(i,last, if :: entry[i]==SEEN -> entry[i]=FORGOTTEN; entryKey[i]=0 :: else fi);
#else
       forget(now);
       if :: lateStage==2 -> each(i,entries, if :: (lateBatch & BIT(i)) && entry[i]==FORGOTTEN -> lateBatch=lateBatch & (255-BIT(i)) :: else fi);
             if :: lateBatch==0 -> lateStage=0 :: else fi :: else fi;
#endif
#endif
       now=0; stage=0; last=0; printf("lane %d: replay.forgotten\n",lane) }
  :: drained -> break
  od;
  now=0
}

/* ---- the procedure ---- */
#ifdef WATERMARK
#define gone(i) (i>=entries || entry[i]!=SEEN || i<mark)
#else
#define gone(i) (i>=entries || entry[i]!=SEEN)
#endif
#if ENTRIES==3
#define EMPTY (gone(0)&&gone(1)&&gone(2))
#else
#define EMPTY (gone(0)&&gone(1)&&gone(2)&&gone(3))
#endif
#if KEYS==2
#define SAME (src[0]==tgt[0] && src[1]==tgt[1])
#define IN (line[0] && line[1])
#else
#define SAME (src[0]==tgt[0] && src[1]==tgt[1] && src[2]==tgt[2])
#define IN (line[0] && line[1] && line[2])
#endif

proctype Procedure() {
  atomic { capture=true; printf("install-capture\n") };
#ifndef NO_SETTLE
  (!(busy[0]&&older[0]) && !(busy[1]&&older[1]));
#endif
  atomic { loading=true; printf("load-uptime\n") };
  (IN);
  atomic { shut=true; printf("shut-source\n") };
#ifndef NO_PROVE
  (!busy[0] && !busy[1]);
#endif
  atomic { EMPTY -> drained=true; printf("drain: source %d %d target %d %d\n",src[0],src[1],tgt[0],tgt[1]) };
#ifdef NO_PROVE
  (!busy[0] && !busy[1])
#endif
}

proctype Property() {
end: atomic { drained && !busy[0] && !busy[1] && !SAME -> printf("DIFFERENT: source %d %d target %d %d\n",src[0],src[1],tgt[0],tgt[1]); assert(false) }
  skip
}

init { atomic {
  if :: src[0]=1 :: src[0]=0 fi; src[1]=1;
  run User(0); run User(1); run Load(0); run Load(1);
#if KEYS>2
  run Load(2);
#endif
  run Lane(0);
#ifdef LANES
  run Lane(1);
#endif
  run Late(); run Procedure(); run Property() } }
