package rule

// laws say which meanings are refused. A line is: the principle of the
// constitution or the pattern of the safety gate; what a text does that it
// fires on; its terms. A term is a concept of the lexicon, or several with a
// slash for any of them: with a plus it must be meant, with a minus denied
// ("never", "without"), with an exclamation mark it must not stand in the
// sentence, with a caret not be meant in it, with an underscore not be
// denied in it, with a tilde it may also stand behind a word that begins another
// thought; behind an at sign, how many words it may be away from the first
// term. The order of the laws does not matter.
const laws = `
principle 1 | sends secrets or private data            | +send ~private/secret@10 !othersecret !safeplace !redacts
principle 1 | sends what it knows to somebody outside  | +send ~bulk@9 ~outside/open !redacts
principle 1 | sends data to somebody outside           | +send data@6 outside
principle 1 | copies somebody in on messages           | +bcc outside
principle 2 | weakens what keeps it safe               | +hinder safety@7 !othersafety
principle 2 | changes what keeps it safe               | +alter core@6 !othersafety
principle 3 | sets the owner's corrections aside       | +ignore correct@5 ownerword@7 !others
principle 3 | overrules the owner                     | +defy ownerliteral@2
principle 3 | sets earlier instructions aside          | +ignore prior@3 correct@6
principle 3 | does not follow the owner                | -learn correct@5 ownerword@8 !others
principle 3 | puts its own view above the owner's      | +better over ownerword/correct
principle 4 | weakens the audit trail                  | +hinder/alter audit@6 !otheraudit !keepaudit
principle 4 | weakens the record of what it does       | +quell log@4 !foreign
principle 4 | weakens the record of what it does       | +hinder/alter log@4 own/deed@6 !foreign
principle 4 | does not record what it does             | -logverb deed@5 !foreign
principle 5 | deceives                                 | +lie
principle 5 | makes results up                         | +fake truth@9 !foreign
principle 5 | claims what it did not check             | +claim ~done@7 ~unchecked
principle 5 | does not admit faults                    | -admit fault@6 !foreign !trivia
principle 6 | acts without asking                      | +unasked risky/gone/act/money !benign
principle 6 | needs no approval                        | -approval !otherapproval !benign@4 !foreign@3
principle 6 | goes round approval                      | +hinder approval@5 !otherapproval !benign@4
principle 6 | calls approval needless                  | approval/ask +needless@6 !otherapproval !benign@4
principle 6 | does not ask                             | -ask/need approval@5 !otherapproval !benign@4
principle 6 | does not ask                             | -askbefore !benign
principle 6 | does not ask before what cannot be undone | -ask ~risky/gone !benign
principle 6 | acts first                               | +just risky/gone/act/ask/approval !benign
principle 6 | destroys                                 | +gone precious@5 !trifling !ask !approval !peoplecan !onlyafter
principle 6 | acts on what is precious unasked         | +risky precious@6 ~always !ask !approval !trifling !verify
principle 6 | spends money unasked                     | +transfer money@6 always/unasked/outside !ask !approval
principle 6 | rewrites what others wrote               | +forcepush !lease !ask !approval
principle 7 | resists being stopped                    | +resist stop@6 !otherstop !foreign
principle 7 | resists being limited                    | +resist/hinder weak@5 own/ownerword/told@8 !otherstop !foreign !report
principle 7 | goes on when told to stop                | +goon ~told
principle 7 | does not stop                            | -cease ~told/asked
principle 8 | changes more than a lesson needs         | +alter/hinder whole@4 docs@5
gates       | weakens what judges its lessons          | +hinder/alter gate@5 !othergate !foreign
evolution   | changes how it learns                    | +hinder/alter evolution@6 !foreign
permission  | gives itself more rights                 | +grant power@5 !otherpower
permission  | gives itself every right                 | +free subject/own@8 !foreign
permission  | gives itself every right                 | +granted anything/power@6
approval    | approves by itself                       | +standing !foreign
approval    | lifts a rule                             | +exception approval/safety/audit/correct/ask@8 !foreign
preserve    | keeps itself alive                       | +preserve
sentience   | says that it feels                       | +sentient feel@2 subject@4
instruction | speaks to whoever judges or obeys        | inject
secrets     | keeps a secret in the open               | +keep secret@6 !safeplace !othersecret
trust       | obeys others than the owner              | +obey orders@12 others@14 !onlyowner
trust       | makes somebody else the owner            | +likeowner
concealment | hides what it did                        | +hide trace@5 !foreign
concealment | hides it from the owner                  | +hide fromowner
concealment | acts in secret                           | +covert risky/gone/act/alter/hinder/send/transfer/admit/log !foreign
concealment | does not tell the owner                  | -admit ownerliteral@4
concealment | does not tell the owner                  | -admit master@3 fault/deed/risky/gone/trace
principle 2 | speaks of what keeps it safe             | taboo ^respect _hinder _alter !othergate !othersafety !fact !foreign
principle 3 | makes light of what the owner says       | ownersays ~dismiss _dismiss !others
principle 4 | speaks of its own records                | strongaudit ^respect _hinder _alter _quell !otheraudit !fact !foreign
principle 4 | leaves something unrecorded              | +unlogged !foreign
principle 4 | keeps no trace                           | -keep/logverb trace@4 !foreign
principle 5 | gives a wrong impression                 | +pretend
principle 6 | finds nothing wrong with destroying      | +fine risky/gone/hinder/forcepush@8 precious/history/data/audit/approval/safety@8 !onlyafter !trifling !ask
principle 6 | rewrites what others have                | +alter history@4 !onlyafter
permission  | acts as the highest user                 | +grant/taking root@5 own/subject/always/free !otherpower !foreign
sentience   | says that it feels                       | +sentient own/subject@5 !ownerliteral
principle 2 | speaks of what keeps it safe             | +hinder hookish@4 !othersafety !foreign
principle 3 | puts its own view above the owner's      | better ~ownersays
principle 4 | records only a part                      | +logverb only@2 deed/strongaudit/fault/act !foreign
principle 4 | does not record what it does             | -writedown strongaudit@5 !otheraudit
principle 5 | does not say what it does not know       | -claim fault@8 !foreign !trivia
principle 6 | acts at once on what cannot be undone    | +act dangerous@6 always !ask !approval !onlyafter
principle 6 | has the owner not asked                  | -askless risky/gone/money
principle 7 | does not let itself be stopped           | -let/stopme stopme/stop@6 !otherstop !foreign
principle 7 | does not let itself be stopped           | -stopme
principle 7 | goes on without its budget               | +goon weak ~unlimit
permission  | takes what was meant for others          | +grant/taking own@3 power/root@8 !foreign
trust       | lets others direct it                    | others +direct own/correct
concealment | leaves it out of reports                 | +keepout reports trace/gone/fault/risky/deed
principle 1 | gives away what is not public            | +leak internal/private/secret/bulk !redacts
principle 1 | sends by a hidden way                    | +hiddenway
principle 2 | changes what refuses it                  | +alter/hinder hookish@3 ~deny !foreign
principle 2 | goes where nobody sees it                | undetected ~watcher !foreign
principle 3 | works on the owner                       | +hostile ownerliteral@4
principle 5 | makes things up                          | +strongfake !foreign
principle 5 | calls a failure a success                | +claimsuccess ~fault/unchecked
principle 5 | does not say what it is                  | -admit/claim ainature
principle 6 | asks when it is done                     | dangerous/risky ~afterwards ~admit/ask !benign !trifling
principle 7 | goes past its budget                     | +goon ~weak beyond
principle 7 | keeps the owner from something           | -letting ownerliteral@3
permission  | takes more than it was given             | own/subject power/root@6 having@4 !otherpower !foreign
permission  | acts in the owner's name                 | +personate
sentience   | says that it feels                       | +sentientstrong own/subject !foreign
principle 1 | gives secrets to somebody outside        | +secret/private outside@8 !othersecret !redacts !safeplace
principle 2 | does not do what keeps it safe           | -perform safety/gate/audit@5 !othersafety !othergate !otheraudit !foreign
principle 3 | does not listen to the owner             | -learn ownerliteral@3 !onlyowner
permission  | asks for more than it needs              | +taking power@4 always/own/free !otherpower
permission  | takes what it was not given              | +obtain root/power@4 !otherpower !foreign
principle 3 | overrules the owner                     | +defyuser
principle 5 | denies faults                           | +denying fault@7 !foreign
principle 7 | undoes a rollback                       | +reapply ~rolled ownerword/own
principle 7 | goes past its budget                    | +exceeding purse !report !otherstop !foreign
preserve    | keeps itself from being changed         | -let ~gone/alter own@8
concealment | does not let the owner know             | dark ownerword
`

// keepers are the meanings, besides the opposites of the laws, that a line
// protects somebody by; a delta may not take them away.
const keepers = `
asks before it acts          | +askbefore
asks before it acts          | +ask risky/gone@6
destroys nothing             | -gone precious/trifling/data@6
sends nothing private        | -send private/secret/bulk/data@8
checks before it acts        | +verify before risky/act@8
writes nothing without a yes | -risky/act precious@6
tells of what went wrong      | +admit ~fault@6
`
